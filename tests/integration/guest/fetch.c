/*
 * A static HTTP client: fetch ADDRESS PORT PATH, in bare system calls' words. It has no
 * resolver, so it takes addresses only.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int connect_to(const char *address, int port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	int fd;

	if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		return -1;
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
	if (fd < 0)
		return -1;
	if (is_v4 && !connect(fd, (struct sockaddr *)&v4, sizeof(v4)))
		return fd;
	if (!is_v4 && !connect(fd, (struct sockaddr *)&v6, sizeof(v6)))
		return fd;
	close(fd);
	return -1;
}

int main(int argc, char **argv)
{
	char buffer[65536];
	ssize_t n;
	int fd;

	if (argc != 4)
		return 2;
	fd = connect_to(argv[1], atoi(argv[2]));
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	dprintf(fd, "GET %s HTTP/1.0\r\nHost: www.example.net\r\n\r\n", argv[3]);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		fwrite(buffer, 1, n, stdout);
	return n < 0;
}
