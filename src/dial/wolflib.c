#include "dial/wolflib.h"

#include "base/util.h"

struct wolflib wolflib;

int wolflib_load(struct error *err)
{
	static const char *const names[] = { WOLFLIB_FUNCTIONS(DYNLIB_NAME) };
	static const struct dynlib lib = {
		.soname = WOLFSSL_SONAME,
		.what = "wolfSSL, which speaks TLS with proxies,",
		.names = names,
		.count = ARRAY_SIZE(names),
		.functions = &wolflib,
	};

	return dynlib_load(&lib, err);
}
