/*
 * libpcap, loaded for captures that filter or read an interface: with what it depends on it
 * would cost every run 1 ms.
 */
#ifndef CAPTURE_PCAPLIB_H
#define CAPTURE_PCAPLIB_H

#include <pcap/pcap.h>

#include "base/dynlib.h"

/* clang-format off */
#define PCAPLIB_FUNCTIONS(X) \
	X(pcap_activate) X(pcap_close) X(pcap_compile) X(pcap_create) X(pcap_datalink) \
	X(pcap_datalink_val_to_name) X(pcap_dispatch) X(pcap_freecode) \
	X(pcap_get_selectable_fd) X(pcap_geterr) X(pcap_offline_filter) X(pcap_open_dead) \
	X(pcap_set_buffer_size) X(pcap_set_promisc) X(pcap_set_snaplen) X(pcap_set_timeout) \
	X(pcap_set_tstamp_precision) X(pcap_setfilter) X(pcap_setnonblock) X(pcap_stats) \
	X(pcap_statustostr)
/* clang-format on */

struct pcaplib {
	PCAPLIB_FUNCTIONS(DYNLIB_POINTER)
};

/* Of use after pcaplib_load(). */
extern struct pcaplib pcaplib;

/* To be called before the engine is confined; again is for free. 0, or -1 with *err set. */
int pcaplib_load(struct error *err);

#endif
