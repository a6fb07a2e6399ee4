#include "cmd/readback.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/util.h"
#include "event/reader.h"

bool readback_can(const struct record *record)
{
	struct stat st;

	return record->open && fstat(record->file.fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Ours is open for writing only, or its place is the writers'. */
int readback_open(const struct record *record, struct error *err)
{
	cleanup_fd int fd = -1;
	char path[32];

	if (!readback_can(record))
		return error_set(err, 0, "the flow log can't be read back");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", record->file.fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || lseek(fd, record->begin, SEEK_SET) < 0)
		return error_set(err, errno, "read the flow log back");
	return steal_fd(&fd);
}

int readback(const struct record *record, struct tally *tally, struct error *err)
{
	cleanup_fd int fd = readback_open(record, err);
	struct reader *r;
	int ret;

	if (fd < 0)
		return -1;
	r = reader_new(tally, false);
	if (!r)
		return error_set(err, ENOMEM, "read the flow log back");
	reader_only_run(r, record->run_id);
	ret = reader_fd(r, fd, "the flow log", err);
	reader_free(r);
	tally_finish(tally);
	return ret;
}
