#include "capture/pcaplib.h"

#include <dlfcn.h>
#include <stddef.h>

#include "base/util.h"

/* Debian's name for it, and everybody else's. */
static const char *const sonames[] = { "libpcap.so.0.8", "libpcap.so.1" };

static const char *const names[] = {
#define PCAPLIB_NAME(function) #function,
	PCAPLIB_FUNCTIONS(PCAPLIB_NAME)
#undef PCAPLIB_NAME
};

struct pcaplib pcaplib;

static_assert(sizeof(pcaplib) == ARRAY_SIZE(names) * sizeof(void *), "one name each");

int pcaplib_load(struct error *err)
{
	static void *library;
	void **functions = (void **)&pcaplib;

	if (library)
		return 0;
	for (size_t i = 0; !library && i < ARRAY_SIZE(sonames); i++)
		library = dlopen(sonames[i], RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; library && i < ARRAY_SIZE(names); i++) {
		functions[i] = dlsym(library, names[i]);
		if (!functions[i]) {
			dlclose(library);
			library = NULL;
		}
	}
	if (library)
		return 0;
	error_set(err, 0, "libpcap, which filters and reads packets, is not installed");
	return error_cure(err, "Install it, or leave --capture-filter and "
			       "--capture-point wire-egress out.");
}
