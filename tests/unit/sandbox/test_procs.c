/* Real processes with real sockets: the test is their "init". */
#include "sandbox/procs.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "sandbox/procs_read.h"

#define MANY 200

static struct {
	struct procs *procs;
	struct owner_answer answers[OWNER_BATCH];
	size_t answer_count;
	pid_t children[MANY];
	size_t child_count;
} t;

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.procs = procs_new(getpid());
	return t.procs ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < t.child_count; i++) {
		kill(t.children[i], SIGKILL);
		waitpid(t.children[i], NULL, 0);
	}
	procs_free(t.procs);
	return 0;
}

static uint32_t inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void on_answer(void *ctx, const struct owner_answer *answer)
{
	(void)ctx;
	assert_true(t.answer_count < OWNER_BATCH);
	t.answers[t.answer_count++] = *answer;
}

/* The answers, the last of which is marked. */
static void ask(const uint32_t *inodes, size_t count)
{
	struct owner_question q[OWNER_BATCH] = { 0 };

	for (size_t i = 0; i < count; i++)
		q[i].inode = inodes[i];
	/* A search that took too long is gone on with. */
	do {
		t.answer_count = 0;
		procs_find(t.procs, q, count, on_answer, NULL);
	} while (t.answer_count && t.answers[t.answer_count - 1].cut);
	assert_true(t.answer_count >= 1);
	for (size_t i = 0; i < t.answer_count; i++)
		assert_int_equal(t.answers[i].last, i + 1 == t.answer_count);
}

static void assert_owner(uint32_t inode, pid_t pid)
{
	ask(&inode, 1);
	assert_int_equal(t.answer_count, 1);
	assert_int_equal(t.answers[0].pid, pid);
	assert_int_equal(t.answers[0].owns, pid != 0);
}

/* A child that does what `run` says, tells a number, and stays. */
static pid_t child(uint32_t (*run)(void), uint32_t *told)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		uint32_t number;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		number = run();
		if (write(ends[1], &number, sizeof(number)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	t.children[t.child_count++] = pid;
	assert_int_equal(read(ends[0], told, sizeof(*told)), sizeof(*told));
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static uint32_t open_socket(void)
{
	return inode_of(socket(AF_INET, SOCK_DGRAM, 0));
}

static void a_child_s_socket(void **state)
{
	uint32_t inode;
	pid_t pid = child(open_socket, &inode);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_owner(inode, pid);
	assert_non_null(strstr(t.answers[0].exe, "test_procs"));
	assert_string_equal(t.answers[0].comm, "test_procs");
	assert_true(t.answers[0].cost_ns > 0);
}

static void nobody_s_socket(void **state)
{
	uint32_t inode, ours;
	int fd;

	(void)state;
	child(open_socket, &inode);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ours = inode_of(fd);
	/* Init is not one of the tree. */
	assert_owner(ours, 0);
	close(fd);
	assert_owner(ours, 0);
}

static uint32_t open_many(void)
{
	uint32_t first = open_socket();

	for (int i = 0; i < 20; i++)
		open_socket();
	return first;
}

static void sockets_of_several_processes(void **state)
{
	uint32_t inodes[4];
	pid_t a = child(open_many, &inodes[0]);
	pid_t b = child(open_socket, &inodes[1]);

	(void)state;
	inodes[2] = 1;
	inodes[3] = inodes[0];
	ask(inodes, 4);
	assert_int_equal(t.answer_count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(t.answers[i].owns, t.answers[i].pid == a ? 9 : 2);
	assert_int_equal(t.answers[0].pid + t.answers[1].pid, a + b);
}

static uint32_t parent_of_worker(void)
{
	uint32_t inode = open_socket();
	pid_t parent = getpid();

	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent) /* it may have died before the prctl() */
			pause();
		_exit(0);
	}
	return inode;
}

static void of_those_who_share_it_the_first(void **state)
{
	uint32_t inode;
	pid_t pid = child(parent_of_worker, &inode);

	(void)state;
	assert_owner(inode, pid);
	/* From now on the short way. */
	assert_owner(inode, pid);
}

/* Three that a worker has from its parent, and many of its own. */
#define SHARED 3
#define ALL 40
static uint32_t *sockets;

static uint32_t parent_of_three(void)
{
	pid_t parent = getpid();

	for (int i = 0; i < SHARED; i++)
		sockets[i] = open_socket();
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = SHARED; i < ALL; i++)
			__atomic_store_n(&sockets[i], open_socket(), __ATOMIC_RELEASE);
		while (getppid() == parent)
			pause();
		_exit(0);
	}
	while (!__atomic_load_n(&sockets[ALL - 1], __ATOMIC_ACQUIRE))
		usleep(1000);
	return sockets[ALL - 1];
}

static void assert_three_are_the_parent_s(pid_t parent, size_t asked)
{
	uint64_t all = (UINT64_C(1) << asked) - 1, three = (1 << SHARED) - 1;

	ask(sockets, asked);
	assert_int_equal(t.answer_count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(t.answers[i].owns ==
			    (t.answers[i].pid == parent ? three : all & ~three));
}

static void each_that_is_shared_is_the_first_one_s(void **state)
{
	uint32_t last;
	pid_t pid;

	(void)state;
	sockets = mmap(NULL, ALL * sizeof(*sockets), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(sockets != MAP_FAILED);
	/* In a tree that is not small only the ancestors are looked at. */
	for (int i = 0; i < 70; i++)
		child(open_socket, &last);
	pid = child(parent_of_three, &last);
	/* Now the worker is known, with all it has. */
	ask(&last, 1);
	assert_int_equal(procs_parent(t.answers[0].pid), pid);
	assert_three_are_the_parent_s(pid, SHARED + 1);
	/* The parent has fewer descriptors than that. */
	assert_three_are_the_parent_s(pid, ALL);
	munmap(sockets, ALL * sizeof(*sockets));
}

/* The worker stands in send(2), as one that waits in connect(2) does. */
static uint32_t parent_of_sender(void)
{
	char byte = 0;
	int pair[2], ready[2];
	uint32_t inode;
	pid_t pid, parent = getpid();

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pipe(ready))
		_exit(1);
	inode = inode_of(pair[0]);
	pid = fork();
	if (pid == 0) {
		static char data[1 << 22];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "worker");
		if (write(ready[1], &byte, 1) < 0 ||
		    send(pair[0], data, sizeof(data), 0) < 0)
			_exit(1);
		while (getppid() == parent)
			pause();
		_exit(0);
	}
	if (read(ready[0], &byte, 1) != 1)
		_exit(1);
	while (!procs_is_sending(pid, pair[0]))
		;
	return inode;
}

static void of_those_who_share_it_the_one_that_sends(void **state)
{
	uint32_t inode;

	(void)state;
	child(parent_of_sender, &inode);
	ask(&inode, 1);
	assert_string_equal(t.answers[0].comm, "worker");
}

static void a_grandchild_and_an_orphan(void **state)
{
	uint32_t inode, told;
	pid_t pid = child(parent_of_sender, &told);

	(void)state;
	assert_int_equal(procs_parent(pid), getpid());
	kill(pid, SIGSTOP);
	ask(&told, 1);
	assert_string_equal(t.answers[0].comm, "worker");
	assert_int_equal(procs_parent(t.answers[0].pid), pid);
	child(open_socket, &inode);
	assert_owner(inode, t.children[1]);
}

static void many_processes(void **state)
{
	uint32_t inodes[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		child(open_socket, &inodes[i]);
	for (size_t i = 0; i < MANY; i += OWNER_BATCH / 2) {
		size_t n = MIN(MANY - i, (size_t)OWNER_BATCH / 2);

		ask(inodes + i, n);
		assert_int_equal(t.answer_count, n);
		for (size_t k = 0; k < n; k++) {
			size_t which = i + __builtin_ctzll(t.answers[k].owns);

			assert_int_equal(t.answers[k].pid, t.children[which]);
		}
	}
}

static void a_process_that_ends_is_forgotten(void **state)
{
	uint32_t first, second;
	pid_t pid = child(open_socket, &first);

	(void)state;
	assert_owner(first, pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_owner(first, 0);
	pid = child(open_socket, &second);
	assert_owner(second, pid);
}

static uint32_t rename_itself(void)
{
	uint32_t inode = open_socket();

	prctl(PR_SET_NAME, "a) R 1 (b");
	return inode;
}

static void a_name_that_looks_like_more(void **state)
{
	uint32_t inode;
	pid_t pid = child(rename_itself, &inode);

	(void)state;
	assert_owner(inode, pid);
	assert_string_equal(t.answers[0].comm, "a) R 1 (b");
	assert_int_equal(procs_parent(pid), getpid());
}

int main(void)
{
#define WITH_PROCS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_PROCS(a_child_s_socket),
		WITH_PROCS(nobody_s_socket),
		WITH_PROCS(sockets_of_several_processes),
		WITH_PROCS(of_those_who_share_it_the_first),
		WITH_PROCS(each_that_is_shared_is_the_first_one_s),
		WITH_PROCS(of_those_who_share_it_the_one_that_sends),
		WITH_PROCS(a_grandchild_and_an_orphan),
		WITH_PROCS(many_processes),
		WITH_PROCS(a_process_that_ends_is_forgotten),
		WITH_PROCS(a_name_that_looks_like_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
