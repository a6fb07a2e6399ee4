/*
 * Each flow is asked what the second run will ask: which of the names that were known for its
 * address is enough for it (policy_name_is_enough()). Where servers know a name, that is the
 * one that it has shown; else any of them, for the log can't say which one was meant, and all
 * are allowed, exactly and at the ports that were used.
 *
 * Its address is allowed when no name is enough: there was none, none that a rule can bear, or
 * another one was shown. So it is, beside the names, when nothing proves that it went by a name:
 * its process had asked for none of them itself, and may have had nothing but the address; or
 * nobody knows which process it was, and it has shown none.
 *
 * A name that was only asked for is allowed at port 53, where all questions go to our own
 * resolvers anyway: so it may be asked, and nothing else; also one that doesn't exist, as
 * being refused is another answer than that. ICMP is allowed by address, because a name
 * without ports would allow more.
 *
 * The lines' comments say who has used them and how much: that is what one reads a learned
 * profile for.
 */
#include "cmd/learned.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/rule.h"
#include "config/toml.h"
#include "event/render.h"
#include "event/talks.h"
#include "policy/sets.h"

#define PROCESSES_MAX 3
#define RANGES_MAX 64 /* of ports; with more, every port is allowed */
#define PORT_LOOKUP 53
#define PORT_HTTPS 443

/* A line: its key is the rule without ports. */
struct line {
	struct row row;
	struct {
		uint16_t *list;
		uint32_t count, room;
	} ports;
	uint64_t flows, up, down;
	uint32_t processes[PROCESSES_MAX];
	bool is_icmp, more_processes;
	bool is_missing;     /* there is no such name */
	struct text instead; /* a name of it, which it isn't allowed by alone */
};

struct learning {
	const struct tally *tally;
	const struct talks *talks;
	struct table names, cidrs; /* of lines */
	bool quic, name_service, nameless;
	bool failed; /* no memory */
};

/* --- lines --- */

static void add_port(struct learning *l, struct line *line, uint16_t port)
{
	uint32_t low = 0, high = line->ports.count, mid, room;
	uint16_t *more;

	while (low < high) {
		mid = (low + high) / 2;
		if (line->ports.list[mid] < port)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < line->ports.count && line->ports.list[low] == port)
		return;
	if (line->ports.count == line->ports.room) {
		room = MAX(2 * line->ports.room, 4u);
		more = realloc(line->ports.list, room * sizeof(*more));
		if (!more) {
			l->failed = true;
			return;
		}
		line->ports.list = more;
		line->ports.room = room;
	}
	memmove(line->ports.list + low + 1, line->ports.list + low,
		(line->ports.count++ - low) * sizeof(*line->ports.list));
	line->ports.list[low] = port;
}

static void add_process(struct line *line, uint32_t process)
{
	if (!process)
		return;
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (line->processes[i] == process)
			return;
		if (!line->processes[i]) {
			line->processes[i] = process;
			return;
		}
	}
	line->more_processes = true;
}

static void add_use(struct line *line, const struct talks_reach *r)
{
	line->flows += r->flows;
	line->up += r->up;
	line->down += r->down;
	add_process(line, r->process);
}

static struct line *line_at(struct learning *l, struct table *t, const char *key)
{
	uint32_t i = table_add(t, key, strlen(key));

	if (!i)
		l->failed = true;
	return i ? table_row(t, i) : NULL;
}

/* --- what was reached --- */

struct reached {
	struct addr addr;
	uint16_t port;
	bool tcp, icmp;
};

/* "192.0.2.7:80", "[2001:db8::1]:80"; of ICMP the address alone. */
static bool parse_target(struct text target, struct text protocol, struct reached *out)
{
	char text[64], *port, *addr = text;

	if (target.len >= sizeof(text) || memchr(target.s, '\0', target.len))
		return false;
	memcpy(text, target.s, target.len);
	text[target.len] = '\0';
	*out = (struct reached){
		.tcp = protocol.len == 3 && memcmp(protocol.s, "tcp", 3) == 0,
		.icmp = protocol.len == 6 && memcmp(protocol.s, "icmpv", 5) == 0,
	};
	if (out->icmp)
		return addr_parse(text, &out->addr);
	if (!out->tcp && (protocol.len != 3 || memcmp(protocol.s, "udp", 3) != 0))
		return false;
	port = strrchr(text, ':');
	if (!port)
		return false;
	*port++ = '\0';
	if (*addr == '[' && port[-2] == ']') {
		port[-2] = '\0';
		addr++;
	}
	out->port = strtoul(port, NULL, 10);
	return out->port && addr_parse(addr, &out->addr);
}

/* As rules write it: lower case, no last dot. False for what no rule can bear. */
static bool normal_name(struct text name, char out[static 256])
{
	struct rule_list list = { 0 };
	struct error ignored;
	bool good;

	if (!name.len || name.len > 255 || memchr(name.s, '\0', name.len) ||
	    memchr(name.s, ',', name.len) || memchr(name.s, ':', name.len) ||
	    name.s[0] == '@')
		return false;
	for (size_t i = 0; i < name.len; i++)
		out[i] = ascii_lower(name.s[i]);
	out[name.len - (name.s[name.len - 1] == '.')] = '\0';
	good = rules_parse(&list, RULE_EXACT, out, "/", &ignored) == 0;
	rules_clear(&list);
	return good;
}

static void add_address(struct learning *l, const struct reached *to, struct text name,
			const struct talks_reach *r)
{
	char addr[ADDR_TEXT_MAX], key[ADDR_TEXT_MAX + 16];
	bool brackets = !addr_is_v4(&to->addr) && !to->icmp;
	struct line *line;

	snprintf(key, sizeof(key), "%s://%s%s%s",
		 to->icmp ? "icmp" :
		 to->tcp  ? "tcp" :
			    "udp",
		 brackets ? "[" : "", addr_format(&to->addr, addr), brackets ? "]" : "");
	line = line_at(l, &l->cidrs, key);
	if (!line)
		return;
	line->is_icmp = to->icmp;
	if (!to->icmp)
		add_port(l, line, to->port);
	if (name.len)
		line->instead = name;
	add_use(line, r);
}

static void add_name(struct learning *l, const char *name, const struct reached *to,
		     const struct talks_reach *r)
{
	struct line *line = line_at(l, &l->names, name);

	if (!line)
		return;
	add_port(l, line, to->icmp ? PORT_LOOKUP : to->port);
	if (to->icmp)
		return;
	add_use(line, r);
	l->quic |= !to->tcp && to->port == PORT_HTTPS;
}

/* As the policy will see it. */
static struct target target_of(const struct reached *to, const struct talks *talks,
			       const struct talks_reach *r)
{
	struct target t = { .protocol = to->icmp ? IPPROTO_ICMP :
					to->tcp	 ? IPPROTO_TCP :
						   IPPROTO_UDP,
			    .to = { to->addr, to->port },
			    .sniffed = r->sniffed };

	if (r->seen)
		t.seen_name = talks_text(talks, r->seen).s;
	return t;
}

/* Whether it was enough for it. */
static bool add_if_enough(struct learning *l, struct text name, const struct target *t,
			  const struct reached *to, const struct talks_reach *r)
{
	char normal[256];

	if (!normal_name(name, normal) || !policy_name_is_enough(t, normal))
		return false;
	add_name(l, normal, to, r);
	return true;
}

static bool may_go_by_address(const struct talks_reach *r)
{
	return r->asked == ASKED_NONE || (r->asked == ASKED_UNKNOWN && !r->seen);
}

static void add_reach(struct learning *l, const struct talks_reach *r)
{
	const struct row *row = table_row(&l->talks->targets, r->target);
	struct text names[TALKS_NAMES_MAX];
	size_t n = talks_names(l->talks, r->names, names);
	struct target target;
	struct reached to;
	bool enough = false;

	if (!r->target || !parse_target((struct text){ row->key, row->len },
					talks_text(l->talks, r->protocol), &to))
		return;
	if (r->synthetic) {
		names[0] = talks_text(l->talks, r->synthetic);
		n = 1;
	}
	target = target_of(&to, l->talks, r);
	l->name_service |= policy_is_name_service(&target);
	for (size_t i = 0; i < n; i++)
		enough |= add_if_enough(l, names[i], &target, &to, r);
	if (r->synthetic)
		l->nameless |= !enough;
	else if (!enough || to.icmp || may_go_by_address(r))
		add_address(l, &to, n ? names[n - 1] : (struct text){ "", 0 }, r);
}

/* Asked for, but not talked to. */
static void add_lookups(struct learning *l)
{
	const struct table *names = &l->tally->names;
	struct line *line;
	char normal[256];

	for (uint32_t i = 1; i < table_count(names); i++) {
		const struct tally_name *name = table_row(names, i);

		if ((!name->passed && name->queries <= name->answers) ||
		    !normal_name((struct text){ name->row.key, name->row.len }, normal) ||
		    table_find(&l->names, normal, strlen(normal)))
			continue;
		line = line_at(l, &l->names, normal);
		if (!line)
			return;
		line->is_missing = !name->found;
		add_port(l, line, PORT_LOOKUP);
	}
}

/* --- writing --- */

static void put_ports(FILE *out, const struct line *line)
{
	const uint16_t *p = line->ports.list;
	uint32_t ranges = 0, n = line->ports.count;

	for (uint32_t i = 0; i < n; i++)
		ranges += i == 0 || p[i] != p[i - 1] + 1;
	if (ranges > RANGES_MAX) {
		fputs(":1-65535", out);
		return;
	}
	for (uint32_t i = 0, last; i < n; i = last + 1) {
		for (last = i; last + 1 < n && p[last + 1] == p[last] + 1;)
			last++;
		fprintf(out, "%c%u", i ? ',' : ':', p[i]);
		if (last > i)
			fprintf(out, "-%u", p[last]);
	}
}

static void put_bytes(FILE *out, uint64_t n)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double scaled = n;
	size_t i = 0;

	for (; scaled >= 1000 && i + 1 < ARRAY_SIZE(units); i++)
		scaled /= 1000;
	fprintf(out, i ? "%.1f %s" : "%.0f %s", scaled, units[i]);
}

/* " # curl, git: 3 flows, 12.0 kB received, 1.2 kB sent" */
static void put_use(FILE *out, const struct learning *l, const struct line *line)
{
	fputs(" # ", out);
	for (size_t i = 0; i < PROCESSES_MAX && line->processes[i]; i++) {
		fputs(i ? ", " : "", out);
		render_plain(out, talks_process_name(l->talks, line->processes[i]));
	}
	fputs(line->more_processes ? " and others" : "", out);
	fputs(line->processes[0] ? ": " : "", out);
	if (!line->flows) {
		fputs(line->is_missing ? "not found" : "only looked up", out);
		return;
	}
	fprintf(out, "%llu flow%s, ", (unsigned long long)line->flows,
		line->flows == 1 ? "" : "s");
	put_bytes(out, line->down);
	fputs(" received, ", out);
	put_bytes(out, line->up);
	fputs(" sent", out);
	if (line->instead.len) {
		fputs("; it was ", out);
		render_plain(out, line->instead);
	}
}

static int by_key(const void *a, const void *b)
{
	const struct line *x = *(void *const *)a, *y = *(void *const *)b;

	return strcmp(x->row.key, y->row.key);
}

static int put_lines(FILE *out, const struct learning *l, const char *key,
		     const struct table *t)
{
	size_t n = table_count(t) - 1;
	cleanup_free const struct line **lines = calloc(n + 1, sizeof(*lines));
	cleanup_free char *rule = NULL;

	if (!lines)
		return -1;
	for (size_t i = 0; i < n; i++)
		lines[i] = table_row(t, i + 1);
	qsort(lines, n, sizeof(*lines), by_key);
	fprintf(out, "%s = [\n", key);
	for (size_t i = 0; i < n; i++) {
		FILE *mem;
		size_t len;

		free(steal_ptr(&rule));
		mem = open_memstream(&rule, &len);
		if (!mem)
			return -1;
		fputs(lines[i]->row.key, mem);
		if (!lines[i]->is_icmp)
			put_ports(mem, lines[i]);
		if (fclose(mem) == EOF)
			return -1;
		fputs("    ", out);
		toml_write_string(out, rule);
		fputc(',', out);
		put_use(out, l, lines[i]);
		fputc('\n', out);
	}
	fputs("]\n", out);
	return 0;
}

static bool is_incomplete(const struct learning *l)
{
	const struct talks *t = l->talks;

	return l->tally->names.left_out || t->texts.left_out || t->targets.left_out ||
	       t->name_sets.left_out || t->reaches.left_out;
}

static void put_head(FILE *out, const struct learning *l, const struct learned_run *run)
{
	fprintf(out, "# Learned by childflow %s from a run of:", run->version);
	for (size_t i = 0; run->command && run->command[i]; i++) {
		fputc(' ', out);
		render_plain_string(out, run->command[i]);
	}
	fprintf(out, "\n# It ended with exit status %d.\n", run->exit_code);
	if (run->lost_records)
		fprintf(out, "# Incomplete: %llu events could not be recorded.\n",
			(unsigned long long)run->lost_records);
	if (is_incomplete(l))
		fprintf(out, "# Incomplete: there were more than %d names or targets.\n",
			TABLE_KEYS_MAX);
	fputs("#\n# What it has reached is allowed, and nothing else:\n"
	      "default_policy = \"deny\"\n",
	      out);
}

static int put_profile(FILE *out, const struct learning *l, const struct learned_run *run)
{
	put_head(out, l, run);
	if (table_count(&l->names) > 1) {
		fputs("\n# Names, at the ports that were used. Port 53 stands for being "
		      "asked "
		      "for.\n",
		      out);
		if (put_lines(out, l, "allow_domains_exact", &l->names))
			return -1;
	}
	if (l->quic)
		fputs("\n# QUIC (UDP port 443) to these names; it shows none that could "
		      "be "
		      "compared.\nallow_quic = true\n",
		      out);
	if (table_count(&l->cidrs) > 1) {
		fputs("\n# Addresses that were used without a name, or may have been.\n",
		      out);
		if (put_lines(out, l, "allow_cidrs", &l->cidrs))
			return -1;
	}
	if (l->name_service && table_count(&l->names) > 1)
		fputs("\n# It has also asked a name service of its own (such as port "
		      "853), "
		      "which no rule allows\n# beside rules about names.\n",
		      out);
	if (l->nameless)
		fputs("\n# It has also reached a name behind a proxy without showing it, "
		      "which no rule allows.\n",
		      out);
	return 0;
}

/* --- all of it --- */

static void free_lines(struct table *t)
{
	for (uint32_t i = 1; i < table_count(t); i++)
		free(((struct line *)table_row(t, i))->ports.list);
	table_free(t);
}

static int write_profile(struct learning *l, const struct learned_run *run, FILE *out,
			 struct error *err)
{
	cleanup_free char *text = NULL;
	FILE *mem;
	size_t len;

	if (l->failed)
		return error_set(err, 0, "more was reached than a profile can hold");
	mem = open_memstream(&text, &len);
	if (!mem)
		return error_set(err, ENOMEM, "write the profile");
	if (put_profile(mem, l, run) | fclose(mem))
		return error_set(err, ENOMEM, "write the profile");
	if (len > TOML_SIZE_MAX)
		return error_set(err, 0, "more was reached than a profile can hold");
	fwrite(text, 1, len, out);
	return 0;
}

int learned_profile(const struct tally *t, const struct learned_run *run, FILE *out,
		    struct error *err)
{
	struct learning l = { .tally = t, .talks = t->talks };
	int ret;

	table_init(&l.names, sizeof(struct line));
	table_init(&l.cidrs, sizeof(struct line));
	for (uint32_t i = 1; i < table_count(&l.talks->reaches); i++)
		add_reach(&l, table_row(&l.talks->reaches, i));
	add_lookups(&l);
	ret = write_profile(&l, run, out, err);
	free_lines(&l.names);
	free_lines(&l.cidrs);
	return ret;
}
