/*
 * What is written beside packets: names of addresses and processes, each once; and in a
 * packet's own block, whose flow it begins and what has refused it.
 *
 * That is known a moment after the packet has passed, when it is most often in the file's
 * buffer still, and can be added. If it has left, the next packet of the flow has it: of
 * what was refused that is our answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/capture_internal.h"

/* FNV-1a: a collision costs one name in the file. */
static uint64_t hash(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

static bool is_new(uint64_t seen[CAPTURE_SEEN], uint64_t h)
{
	uint64_t *slot = &seen[h % CAPTURE_SEEN];

	if (*slot == h)
		return false;
	*slot = h;
	return true;
}

void capture_learn_names(struct capture *c, const struct event *ev)
{
	char name[256];
	size_t len = strlen(ev->dns.name);

	if (len && ev->dns.name[len - 1] == '.')
		len--;
	if (!len || len >= sizeof(name))
		return;
	memcpy(name, ev->dns.name, len);
	name[len] = '\0';
	for (size_t i = 0; i < ev->dns.addr_count; i++) {
		const struct addr *a = &ev->dns.addrs[i];
		uint64_t h = hash(hash(UINT64_C(0xcbf29ce484222325), name, len), a,
				  sizeof(*a));

		if (!is_new(c->names, h))
			continue;
		for (size_t v = 0; v < VIEW_COUNT; v++) {
			if (c->views[v].file)
				capfile_name(c->views[v].file, a, name);
		}
	}
}

void capture_announce(struct capture *c, const struct process *p)
{
	const struct pcapng_process block = { p->pid, p->comm, p->exe };
	uint64_t h = hash(UINT64_C(0xcbf29ce484222325), &p->pid, sizeof(p->pid));

	if (!c->setup->process_blocks)
		return;
	h = hash(h, p->comm ? p->comm : "", p->comm ? strlen(p->comm) : 0);
	h = hash(h, p->exe ? p->exe : "", p->exe ? strlen(p->exe) : 0);
	if (!is_new(c->processes, h))
		return;
	for (size_t v = 0; v < VIEW_COUNT; v++) {
		if (c->views[v].file)
			capfile_process(c->views[v].file, &block);
	}
}

/* --- in packets' blocks --- */

static void annotate(struct capture *c, struct known_flow *f, const uint64_t *numbers,
		     const char *comment, pid_t pid)
{
	for (size_t i = 0; i < VIEW_COUNT; i++) {
		struct capfile *file = c->views[i].file;

		if (file && !capfile_add(file, numbers[i], comment, pid) &&
		    !f->comment[i])
			f->comment[i] = strdup(comment);
	}
}

static const char *name_of(const struct event *ev)
{
	if (ev->name)
		return ev->name;
	return ev->name_count ? ev->names[ev->name_count - 1] : NULL;
}

void capture_introduce(struct capture *c, const struct event *ev, struct known_flow *f)
{
	const struct process *p = ev->process;
	const char *name = name_of(ev), *comm = p ? p->comm : NULL,
		   *exe = p ? p->exe : NULL;
	char text[1024], pid[24] = "";

	if (p && !f->pid) {
		f->pid = p->pid;
		capture_announce(c, p);
	}
	if (f->told || (!p && !name))
		return;
	f->told = true;
	if (p)
		snprintf(pid, sizeof(pid), " pid=%d", p->pid);
	snprintf(text, sizeof(text), "%s%s%.64s%s%.512s%s%.256s", pid,
		 comm ? " comm=" : "", comm ? comm : "", exe ? " exe=" : "",
		 exe ? exe : "", name ? " name=" : "", name ? name : "");
	annotate(c, f, f->first, text + 1, f->pid);
}

void capture_explain(struct capture *c, const struct event *ev, struct known_flow *f)
{
	const struct verdict *v = ev->policy_violation.verdict;
	const char *option = policy_list_option(v->list);
	char text[512];

	snprintf(text, sizeof(text), "%s: %s%s%s%s%.256s",
		 ev->policy_violation.audit ? "would be refused" : "refused",
		 reason_name(v->reason), option ? ": " : "", option ? option : "",
		 v->rule ? " " : "", v->rule ? v->rule->text : "");
	annotate(c, f, f->latest, text, 0);
}
