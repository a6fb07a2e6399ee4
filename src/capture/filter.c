/*
 * libpcap says that an expression is wrong, but not where. So its beginnings are compiled,
 * too: the first word with which none can be completed is the wrong one.
 */
#include "capture/filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "capture/pcaplib.h"

#define SNAPLEN 262144
/* Longer ones are told without a place: each word is a compilation. */
#define PLACE_MAX 512

struct filter {
	struct bpf_program program;
};

static bool compiles(pcap_t *pcap, const char *expression)
{
	struct bpf_program program;
	bool ok = pcaplib.pcap_compile(pcap, &program, expression, 1,
				       PCAP_NETMASK_UNKNOWN) == 0;

	if (ok)
		pcaplib.pcap_freecode(&program);
	return ok;
}

/* Can the first n bytes be the beginning of an expression? */
static bool begins_well(pcap_t *pcap, const char *expression, size_t n)
{
	/* What a word may lack, "" first; no names, which would be looked up. */
	static const char *const rests[] = { "",	" tcp",
					     " 1",	" 192.0.2.1",
					     " port 1", " host 192.0.2.1",
					     " net 10", " 1 = 1",
					     " = 1",	" 02:00:00:00:00:01",
					     "] = 1",	" 1] = 1",
					     "0] = 1" };
	char text[PLACE_MAX + 64];
	int open = 0;

	for (size_t i = 0; i < n; i++)
		open += expression[i] == '(' ? 1 : expression[i] == ')' ? -1 : 0;
	for (size_t i = 0; i < ARRAY_SIZE(rests); i++) {
		int len = snprintf(text, sizeof(text) - 32, "%.*s%s", (int)n, expression,
				   rests[i]);

		for (int k = 0; k < MIN(open, 16); k++)
			text[len++] = ')';
		text[len] = '\0';
		if (compiles(pcap, text))
			return true;
	}
	return false;
}

/* Where the first word begins that spoils the expression; its length if none does. */
static size_t wrong_at(pcap_t *pcap, const char *expression)
{
	size_t at = strspn(expression, " \t\n"), len = strlen(expression);

	while (at < len) {
		size_t n = MAX(strcspn(expression + at, " \t\n()"), 1U);

		if (!begins_well(pcap, expression, at + n))
			return at;
		at += n;
		at += strspn(expression + at, " \t\n");
	}
	return len;
}

static int explain(pcap_t *pcap, const char *expression, struct error *err)
{
	char why[PCAP_ERRBUF_SIZE];
	size_t at;

	snprintf(why, sizeof(why), "%s", pcaplib.pcap_geterr(pcap));
	if (strlen(expression) > PLACE_MAX)
		return error_set(err, 0, "%s", why);
	at = wrong_at(pcap, expression);
	error_set(err, 0, "%.160s, at character %zu", why, at + 1);
	if (expression[at])
		error_cure(err, "It is wrong from here on: %.200s", expression + at);
	else
		error_cure(err, "Its end is missing; pcap-filter(7) has the grammar.");
	return -1;
}

struct filter *filter_new(const char *expression, struct error *err)
{
	struct filter *f;
	pcap_t *pcap;

	if (pcaplib_load(err) < 0)
		return NULL;
	f = calloc(1, sizeof(*f));
	pcap = f ? pcaplib.pcap_open_dead(DLT_EN10MB, SNAPLEN) : NULL;
	if (!pcap) {
		free(f);
		error_set(err, ENOMEM, "compile a filter");
		return NULL;
	}
	if (pcaplib.pcap_compile(pcap, &f->program, expression, 1, PCAP_NETMASK_UNKNOWN) <
	    0) {
		explain(pcap, expression, err);
		free(f);
		f = NULL;
	}
	pcaplib.pcap_close(pcap);
	return f;
}

bool filter_matches(const struct filter *f, const uint8_t *frame, size_t len)
{
	const struct pcap_pkthdr header = { .caplen = len, .len = len };

	return pcaplib.pcap_offline_filter(&f->program, &header, frame);
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	pcaplib.pcap_freecode(&f->program);
	free(f);
}
