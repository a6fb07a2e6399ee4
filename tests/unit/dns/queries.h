/* Queries, most of them odd, and what is to become of them. */
#ifndef QUERIES_H
#define QUERIES_H

#include "dns/msg.h"

#define NONE "\0\0"
#define ONE "\0\1"
#define TWO "\0\2"
#define RD "\1\0"
#define ID "\x12\x34"
#define PLAIN ID RD ONE NONE NONE NONE
#define EDNS ID RD ONE NONE NONE ONE
#define IN "\0\1"
#define A "\0\1"
#define NAME "\3www\7example\3com\0"
#define OPT(size, version, flags, options) "\0\0\x29" size "\0" version flags options
#define OPT_PLAIN OPT("\x04\xd0", "\0", NONE, NONE)
#define LABEL63 "\077aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LABEL61 "\075bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LABEL62 "\076bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

#define BYTES(text) text, sizeof(text) - 1

static const struct query {
	const char *what;
	const char *msg;
	size_t len;
	enum msg_verdict verdict;
} queries[] = {
	/* Odd, but plain. */
	{ "A", BYTES(PLAIN NAME A IN), MSG_PLAIN },
	{ "mixed case", BYTES(PLAIN "\3wWw\0" A IN), MSG_PLAIN },
	{ "the root", BYTES(PLAIN "\0\0\2" IN), MSG_PLAIN },
	{ "ANY", BYTES(PLAIN NAME "\0\xff" IN), MSG_PLAIN },
	{ "unknown type", BYTES(PLAIN NAME "\xff\x01" IN), MSG_PLAIN },
	{ "longest name", BYTES(PLAIN LABEL63 LABEL63 LABEL63 LABEL61 "\0" A IN),
	  MSG_PLAIN },
	{ "octets over 127", BYTES(PLAIN "\3\xff\xfe\x80\3com\0" A IN), MSG_PLAIN },
	{ "no RD", BYTES(ID NONE ONE NONE NONE NONE NAME A IN), MSG_PLAIN },
	{ "AA, TC, RA, Z, rcode", BYTES(ID "\7\xcf" ONE NONE NONE NONE NAME A IN),
	  MSG_PLAIN },
	{ "OPT", BYTES(EDNS NAME A IN OPT_PLAIN), MSG_PLAIN },
	{ "OPT, size 0", BYTES(EDNS NAME A IN OPT(NONE, "\0", NONE, NONE)), MSG_PLAIN },
	{ "OPT, all flags", BYTES(EDNS NAME A IN OPT("\x10\0", "\0", "\xff\xff", NONE)),
	  MSG_PLAIN },
	{ "OPT with a cookie",
	  BYTES(EDNS NAME A IN OPT("\x04\xd0", "\0", NONE,
				   "\0\x0c\0\x0a\0\x08") "01234567"),
	  MSG_PLAIN },
	{ "OPT with two options",
	  BYTES(EDNS NAME A IN OPT("\x04\xd0", "\0", NONE, "\0\x0a\0\x0c\0\2xx\0\3\0\0")),
	  MSG_PLAIN },

	/* No query. */
	{ "nothing", BYTES(""), MSG_DROP },
	{ "half a header", BYTES(ID RD ONE NONE NONE "\0"), MSG_DROP },
	{ "an answer", BYTES(ID "\x81\0" ONE NONE NONE NONE NAME A IN), MSG_DROP },

	/* Not one plain question. */
	{ "no question", BYTES(ID RD NONE NONE NONE NONE), MSG_ANSWER_FORMERR },
	{ "a header only", BYTES(PLAIN), MSG_ANSWER_FORMERR },
	{ "two questions", BYTES(ID RD TWO NONE NONE NONE NAME A IN NAME A IN),
	  MSG_ANSWER_FORMERR },
	{ "65535 questions", BYTES(ID RD "\xff\xff" NONE NONE NONE NAME A IN),
	  MSG_ANSWER_FORMERR },
	{ "an answer record",
	  BYTES(ID RD ONE ONE NONE NONE NAME A IN "\xc0\x0c" A IN "\0\0\0\0\0\4\1\2\3\4"),
	  MSG_ANSWER_FORMERR },
	{ "an authority record",
	  BYTES(ID RD ONE NONE ONE NONE NAME A IN "\xc0\x0c" A IN "\0\0\0\0\0\4\1\2\3\4"),
	  MSG_ANSWER_FORMERR },
	{ "two OPT", BYTES(ID RD ONE NONE NONE TWO NAME A IN OPT_PLAIN OPT_PLAIN),
	  MSG_ANSWER_FORMERR },
	{ "an additional record, not OPT",
	  BYTES(EDNS NAME A IN "\0" A IN "\0\0\0\0\0\4\1\2\3\4"), MSG_ANSWER_FORMERR },
	{ "OPT announced, none there", BYTES(EDNS NAME A IN), MSG_ANSWER_FORMERR },
	{ "two OPT announced, one there",
	  BYTES(ID RD ONE NONE NONE TWO NAME A IN OPT_PLAIN), MSG_ANSWER_FORMERR },
	{ "an answer record announced, none there",
	  BYTES(ID RD ONE ONE NONE NONE NAME A IN), MSG_ANSWER_FORMERR },
	{ "an authority record announced, none there",
	  BYTES(ID RD ONE NONE ONE NONE NAME A IN), MSG_ANSWER_FORMERR },
	{ "OPT there, none announced", BYTES(PLAIN NAME A IN OPT_PLAIN),
	  MSG_ANSWER_FORMERR },
	{ "OPT cut", BYTES(EDNS NAME A IN "\0\0\x29\x04\xd0\0\0\0\0\0"),
	  MSG_ANSWER_FORMERR },
	{ "OPT with a name", BYTES(EDNS NAME A IN "\1a" OPT_PLAIN), MSG_ANSWER_FORMERR },
	{ "OPT with a pointer for the root",
	  BYTES(EDNS NAME A IN "\xc0\x1c\0\x29\x04\xd0\0\0\0\0\0\0"),
	  MSG_ANSWER_FORMERR },
	{ "OPT longer than the message",
	  BYTES(EDNS NAME A IN OPT("\4\xd0", "\0", NONE, ONE)), MSG_ANSWER_FORMERR },
	{ "an option longer than OPT",
	  BYTES(EDNS NAME A IN OPT("\4\xd0", "\0", NONE, "\0\5\0\x0a\0\2x")),
	  MSG_ANSWER_FORMERR },
	{ "three bytes of an option",
	  BYTES(EDNS NAME A IN OPT("\4\xd0", "\0", NONE, "\0\3\0\x0a\0")),
	  MSG_ANSWER_FORMERR },
	{ "a byte behind the question", BYTES(PLAIN NAME A IN "x"), MSG_ANSWER_FORMERR },
	{ "a byte behind OPT", BYTES(EDNS NAME A IN OPT_PLAIN "x"), MSG_ANSWER_FORMERR },
	{ "no class", BYTES(PLAIN NAME A), MSG_ANSWER_FORMERR },
	{ "no type", BYTES(PLAIN NAME), MSG_ANSWER_FORMERR },
	{ "half a class", BYTES(PLAIN NAME A "\0"), MSG_ANSWER_FORMERR },
	{ "no root label", BYTES(PLAIN "\3www"), MSG_ANSWER_FORMERR },
	{ "a label past the end", BYTES(PLAIN "\77www\0" A IN), MSG_ANSWER_FORMERR },
	{ "a pointer to itself", BYTES(PLAIN "\xc0\x0c" A IN), MSG_ANSWER_FORMERR },
	{ "a pointer into the header", BYTES(PLAIN "\1a\xc0\x02" A IN),
	  MSG_ANSWER_FORMERR },
	{ "a pointer forwards", BYTES(PLAIN "\xc0\x12" A IN "\1a\0"),
	  MSG_ANSWER_FORMERR },
	{ "label type 01 (RFC 2673)", BYTES(PLAIN "\x41\x08\xff\0" A IN),
	  MSG_ANSWER_FORMERR },
	{ "label type 10", BYTES(PLAIN "\x81x\0" A IN), MSG_ANSWER_FORMERR },
	{ "a name of 256 octets", BYTES(PLAIN LABEL63 LABEL63 LABEL63 LABEL62 "\0" A IN),
	  MSG_ANSWER_FORMERR },
	{ "type 0", BYTES(PLAIN NAME NONE IN), MSG_ANSWER_FORMERR },
	{ "type OPT", BYTES(PLAIN NAME "\0\x29" IN), MSG_ANSWER_FORMERR },

	/* Not for us. */
	{ "IQUERY", BYTES(ID "\x09\0" NONE ONE NONE NONE), MSG_ANSWER_NOTIMP },
	{ "STATUS", BYTES(ID "\x10\0" NONE NONE NONE NONE), MSG_ANSWER_NOTIMP },
	{ "NOTIFY", BYTES(ID "\x20\0" ONE NONE NONE NONE NAME "\0\6" IN),
	  MSG_ANSWER_NOTIMP },
	{ "UPDATE", BYTES(ID "\x28\0" ONE NONE NONE NONE NAME "\0\6" IN),
	  MSG_ANSWER_NOTIMP },
	{ "DSO", BYTES(ID "\x30\0" NONE NONE NONE NONE), MSG_ANSWER_NOTIMP },
	{ "opcode 15", BYTES(ID "\x78\0" ONE NONE NONE NONE NAME A IN),
	  MSG_ANSWER_NOTIMP },
	{ "TKEY", BYTES(PLAIN NAME "\0\xf9" IN), MSG_ANSWER_NOTIMP },
	{ "TSIG", BYTES(PLAIN NAME "\0\xfa" IN), MSG_ANSWER_NOTIMP },
	{ "IXFR", BYTES(PLAIN NAME "\0\xfb" IN), MSG_ANSWER_NOTIMP },
	{ "AXFR", BYTES(PLAIN NAME "\0\xfc" IN), MSG_ANSWER_NOTIMP },
	{ "class CH", BYTES(PLAIN "\7version\4bind\0\0\x10\0\3"), MSG_ANSWER_NOTIMP },
	{ "class ANY", BYTES(PLAIN NAME A "\0\xff"), MSG_ANSWER_NOTIMP },
	{ "class 0", BYTES(PLAIN NAME A NONE), MSG_ANSWER_NOTIMP },
	{ "class NONE", BYTES(PLAIN NAME A "\0\xfe"), MSG_ANSWER_NOTIMP },
	{ "class HS", BYTES(PLAIN NAME A "\0\4"), MSG_ANSWER_NOTIMP },
	{ "class 257", BYTES(PLAIN NAME A "\1\1"), MSG_ANSWER_NOTIMP },
	{ "a dot in a label", BYTES(PLAIN "\13foo.example\3com\0" A IN),
	  MSG_ANSWER_REFUSED },
	{ "a NUL in a label", BYTES(PLAIN "\3a\0b\3com\0" A IN), MSG_ANSWER_REFUSED },
	{ "a dot for a label", BYTES(PLAIN "\1.\3com\0" A IN), MSG_ANSWER_REFUSED },
	{ "a dot in the last label", BYTES(PLAIN "\3www\4.com\0" A IN),
	  MSG_ANSWER_REFUSED },
	{ "EDNS 1", BYTES(EDNS NAME A IN OPT("\x04\xd0", "\1", NONE, NONE)),
	  MSG_ANSWER_BADVERS },
};

#endif
