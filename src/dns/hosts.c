/*
 * The file is read as hosts(5) says and glibc does: an address and its names, a '#' begins a
 * comment anywhere. Names are compared without regard to case, as DNS does and glibc does
 * (the reference tool's comparison of bytes would leave a host's "Foo" beside our "foo").
 *
 * The table is sorted once and searched by halves, so a block list of 100,000 names is no
 * matter. Names are kept in the text form of dns/name.h, lower case: what can't be written
 * without an escape is no host name.
 */
#include "dns/hosts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define BLANKS " \t\r\v\f"
#define ADDRS_MAX 256 /* of one name in an answer */

struct entry {
	const char *name; /* in hosts.text */
	struct addr addr;
	size_t order; /* in the file */
};

struct hosts {
	char *text; /* a copy, in lower case, cut into words */
	struct entry *by_name;
	const struct entry **by_addr;
	size_t n, cap;
};

/* --- reading --- */

static bool is_host_name(const char *word)
{
	struct name name;

	for (const char *c = word; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '\\')
			return false;
	return name_from_text(word, &name) && name.len > 1;
}

static bool add(struct hosts *h, const struct addr *addr, char *name)
{
	size_t len = strlen(name);

	if (h->n == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 64;
		struct entry *grown = reallocarray(h->by_name, cap, sizeof(*grown));

		if (!grown)
			return false;
		h->by_name = grown;
		h->cap = cap;
	}
	if (name[len - 1] == '.')
		name[len - 1] = '\0';
	h->by_name[h->n] = (struct entry){ .name = name, .addr = *addr, .order = h->n };
	h->n++;
	return true;
}

/* The next word of *line, moved behind it; NULL at its end or a comment. */
static char *next_word(char **line)
{
	char *word;

	*line += strspn(*line, BLANKS);
	word = *line;
	if (!*word)
		return NULL;
	*line += strcspn(*line, BLANKS);
	if (**line)
		*(*line)++ = '\0';
	return word;
}

/* Takes one line's names. *why is set when something in it makes no sense. False without
 * memory. */
static bool parse_line(struct hosts *h, char *line, const char **why)
{
	struct addr addr;
	bool any = false;
	char *word;

	line[strcspn(line, "#")] = '\0';
	word = next_word(&line);
	if (!word)
		return true;
	if (!addr_parse(word, &addr)) {
		*why = "does not begin with an IP address";
		return true;
	}
	while ((word = next_word(&line))) {
		any = true;
		if (!is_host_name(word))
			*why = "not a host name";
		else if (!add(h, &addr, word))
			return false;
	}
	if (!any)
		*why = "an address without a name";
	return true;
}

static bool parse_lines(struct hosts *h, struct hosts_bad *bad)
{
	char *rest = h->text, *line;
	unsigned line_no = 0;

	while ((line = strsep(&rest, "\n"))) {
		const char *why = NULL;

		line_no++;
		if (!parse_line(h, line, &why))
			return false;
		if (why && !bad->count++) {
			bad->line = line_no;
			bad->why = why;
		}
	}
	return true;
}

static int compare_order(const struct entry *a, const struct entry *b)
{
	return a->order < b->order ? -1 : a->order > b->order;
}

static int compare_names(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : compare_order(x, y);
}

static int compare_addrs(const void *a, const void *b)
{
	const struct entry *x = *(const struct entry *const *)a;
	const struct entry *y = *(const struct entry *const *)b;
	int c = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	return c ? c : compare_order(x, y);
}

static bool sort(struct hosts *h)
{
	h->by_addr = calloc(h->n + 1, sizeof(*h->by_addr));
	if (!h->by_addr)
		return false;
	if (!h->n)
		return true;
	qsort(h->by_name, h->n, sizeof(*h->by_name), compare_names);
	for (size_t i = 0; i < h->n; i++)
		h->by_addr[i] = &h->by_name[i];
	qsort(h->by_addr, h->n, sizeof(*h->by_addr), compare_addrs);
	return true;
}

/* A copy in lower case that is a C string: a NUL in the file counts as a blank. */
static char *copy_lower(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return NULL;
	for (size_t i = 0; i < len; i++)
		copy[i] = text[i] ? ascii_lower(text[i]) : ' ';
	copy[len] = '\0';
	return copy;
}

struct hosts *hosts_parse(const char *text, size_t len, struct hosts_bad *bad,
			  struct error *err)
{
	struct hosts *h;

	*bad = (struct hosts_bad){ .count = 0 };
	if (len > HOSTS_FILE_MAX) {
		error_set(err, EFBIG, "hosts file");
		return NULL;
	}
	h = calloc(1, sizeof(*h));
	if (h)
		h->text = copy_lower(text, len);
	if (h && h->text && parse_lines(h, bad) && sort(h))
		return h;
	hosts_free(h);
	error_set(err, ENOMEM, "parse hosts file");
	return NULL;
}

void hosts_free(struct hosts *h)
{
	if (!h)
		return;
	free(h->by_addr);
	free(h->by_name);
	free(h->text);
	free(h);
}

/* --- asking --- */

/* The first entry of the name, in text form; NULL when there is none. */
static const struct entry *find_name(const struct hosts *h, const char *name)
{
	size_t low = 0, high = h->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(h->by_name[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == h->n || strcmp(h->by_name[low].name, name))
		return NULL;
	return &h->by_name[low];
}

static const struct entry *find_addr(const struct hosts *h, const struct addr *addr)
{
	size_t low = 0, high = h->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(&h->by_addr[mid]->addr, addr, sizeof(*addr)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == h->n || !addr_eq(&h->by_addr[low]->addr, addr))
		return NULL;
	return h->by_addr[low];
}

static size_t answer_ptr(const struct hosts *h, const struct msg_question *q,
			 uint8_t *out, size_t max)
{
	const struct entry *e;
	struct addr addr;
	struct name name;

	if (!name_to_addr(&q->name, &addr))
		return 0;
	e = find_addr(h, &addr);
	if (!e || !name_from_text(e->name, &name))
		return 0;
	return msg_reply_ptr(q, &name, HOSTS_TTL_S, out, max);
}

size_t hosts_answer(const struct hosts *h, const struct msg_question *q, uint8_t *out,
		    size_t max)
{
	struct addr addrs[ADDRS_MAX];
	const struct entry *e, *end = h->by_name + h->n;
	char text[NAME_TEXT_MAX];
	size_t n = 0;

	if (q->class != MSG_CLASS_IN && q->class != MSG_CLASS_ANY)
		return 0;
	if (q->type == MSG_TYPE_PTR)
		return answer_ptr(h, q, out, max);
	if (q->type != MSG_TYPE_A && q->type != MSG_TYPE_AAAA &&
	    q->type != MSG_TYPE_ANY && q->type != MSG_TYPE_SVCB &&
	    q->type != MSG_TYPE_HTTPS)
		return 0;
	e = find_name(h, name_to_text(&q->name, text));
	if (!e)
		return 0;
	for (; e < end && n < ADDRS_MAX && !strcmp(e->name, text); e++)
		addrs[n++] = e->addr;
	return msg_reply_addrs(q, addrs, n, HOSTS_TTL_S, out, max);
}

/* --- the child's file --- */

/* Whether a line of the host's file names a host that is in the table. */
static bool is_overridden(const struct hosts *h, const char *line, size_t len)
{
	cleanup_free char *copy = copy_lower(line, len);
	char *rest = copy, *word;

	if (!copy)
		return false;
	copy[strcspn(copy, "#")] = '\0';
	if (!next_word(&rest))
		return false;
	while ((word = next_word(&rest))) {
		size_t n = strlen(word);

		if (word[n - 1] == '.')
			word[n - 1] = '\0';
		if (find_name(h, word))
			return true;
	}
	return false;
}

/* Copies with a newline at the end; returns the place behind it. */
static char *copy_lines(char *to, const char *text, size_t len)
{
	memcpy(to, text, len);
	to += len;
	if (len && text[len - 1] != '\n')
		*to++ = '\n';
	return to;
}

char *hosts_render(const struct hosts *h, const char *text, size_t len,
		   const char *host_text, size_t host_len, size_t *out_len)
{
	char *out = malloc(len + host_len + 3), *to; /* two newlines and a NUL */
	const char *line = host_text, *end = host_text + host_len;

	if (!out)
		return NULL;
	to = copy_lines(out, text, len);
	while (line < end) {
		const char *newline = memchr(line, '\n', end - line);
		const char *next = newline ? newline + 1 : end;

		if (!is_overridden(h, line, (newline ? newline : end) - line))
			to = copy_lines(to, line, next - line);
		line = next;
	}
	*to = '\0';
	*out_len = to - out;
	return out;
}
