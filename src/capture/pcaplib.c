#include "capture/pcaplib.h"

#include "base/util.h"

struct pcaplib pcaplib;

int pcaplib_load(struct error *err)
{
	static const char *const names[] = { PCAPLIB_FUNCTIONS(DYNLIB_NAME) };
	static const struct dynlib lib = {
		.soname = PCAP_SONAME,
		.what = "libpcap, which filters and reads packets,",
		.names = names,
		.count = ARRAY_SIZE(names),
		.functions = &pcaplib,
	};

	if (dynlib_load(&lib, err) == 0)
		return 0;
	return error_cure(err, "Install it, or leave --capture-filter and "
			       "--capture-point wire-egress out.");
}
