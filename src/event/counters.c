#include "event/counters.h"

#include <errno.h>
#include <sys/mman.h>

struct counters *counters_new(struct error *err)
{
	struct counters *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (c != MAP_FAILED)
		return c;
	error_set(err, errno, "share the counters of the run");
	return NULL;
}

void counters_free(struct counters *c)
{
	if (c)
		munmap(c, sizeof(*c));
}

static void on_event(struct event_sink *sink, const struct event *ev)
{
	container_of(sink, struct counter_sink, sink)->counters->events[ev->kind]++;
}

void counter_sink_init(struct counter_sink *s, struct counters *counters)
{
	s->sink.on_event = on_event;
	s->counters = counters;
}
