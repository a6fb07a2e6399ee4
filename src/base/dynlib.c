#include "base/dynlib.h"

#include <dlfcn.h>

int dynlib_load(const struct dynlib *lib, struct error *err)
{
	void **functions = lib->functions, *library;
	size_t n = 0;

	if (functions[lib->count - 1])
		return 0;
	library = dlopen(lib->soname, RTLD_NOW | RTLD_LOCAL);
	while (library && n < lib->count &&
	       (functions[n] = dlsym(library, lib->names[n])))
		n++;
	if (n == lib->count)
		return 0;
	if (library)
		dlclose(library);
	return error_set(err, 0, "%s is not installed (%s)", lib->what, lib->soname);
}
