/*
 * Certificates for test_tls, good from 2020 for a hundred years; their keys are no secret. The
 * server's is for proxy.test, *.wild.test, the addresses 192.0.2.7 and 2001:db8::7, and, as a
 * name should not be, "192.0.2.9".
 */
#ifndef CERTIFICATES_H
#define CERTIFICATES_H

/* The signer. */
static const char ca_certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBTzCB96ADAgECAgEBMAoGCCqGSM49BAMCMBcxFTATBgNVBAMMDGNhIGZvciB0\n"
	"ZXN0czAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFzEVMBMGA1UE\n"
	"AwwMY2EgZm9yIHRlc3RzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEauhI48FO\n"
	"91X4pZ7Q0MeIzNfTzHjRsKjvnU2WbklNn4o0YrRhX/pNbHKHFvqSpcRCxULACUrM\n"
	"TJ5j6iD4rxw+gaMyMDAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU3agkLf22\n"
	"fib+3dsNVV/sPPuMrRcwCgYIKoZIzj0EAwIDRwAwRAIgUz9kouNJ0kja4ASvOQHj\n"
	"MtGhVci7DIunCeHA81arw2sCIFog+UQM4crsTgqmQNTvlYxH/oc7wsjV+krJIPzT\n"
	"SxaK\n"
	"-----END CERTIFICATE-----\n";

/* Has signed nothing. */
static const char other_ca_certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBVjCB/aADAgECAgECMAoGCCqGSM49BAMCMBoxGDAWBgNVBAMMD290aGVyIGZv\n"
	"ciB0ZXN0czAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowGjEYMBYG\n"
	"A1UEAwwPb3RoZXIgZm9yIHRlc3RzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"
	"bAIsAOMIGLsC8l5IgIm7ge63uIigpIyi/m1zEiWkcb65aiT8QRo8UfeSLqxONLpT\n"
	"+Ks9fBC1Ihb11CkbU4eHkKMyMDAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU\n"
	"4YjwmQzXtbfh2kX1TDDT87XBIhYwCgYIKoZIzj0EAwIDSAAwRQIhAMoZCltAnmvN\n"
	"s6/cKyx9aCAJ0o7LLBIu5DLbT8U+rb5fAiAMp2yPvHCAacZSU5eCkSdqQvKm06js\n"
	"hjSuxuj1sCGHdA==\n"
	"-----END CERTIFICATE-----\n";

/* The server's. */
static const char server_certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBozCCAUigAwIBAgIBAzAKBggqhkjOPQQDAjAXMRUwEwYDVQQDDAxjYSBmb3Ig\n"
	"dGVzdHMwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMA8xDTALBgNV\n"
	"BAMMBHVuaXQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASt0wN5QBcV6zkRuA/o\n"
	"LFYRttz5zOtaSxnYGLmO/eT7l+i5nXs7OMCp/goYPnjdRsP5thlAUAHL3bj4OVaX\n"
	"vXpEo4GKMIGHMEUGA1UdEQQ+MDyCCnByb3h5LnRlc3SCCyoud2lsZC50ZXN0ggkx\n"
	"OTIuMC4yLjmHBMAAAgeHECABDbgAAAAAAAAAAAAAAAcwHQYDVR0OBBYEFNtBLFGE\n"
	"7CaHWd5vQqHc9NTbO/GOMB8GA1UdIwQYMBaAFN2oJC39tn4m/t3bDVVf7Dz7jK0X\n"
	"MAoGCCqGSM49BAMCA0kAMEYCIQDjJJUBF3lQGmVzzHcO6Ktf6tr0O0IpfBbm53Q1\n"
	"rh2ypgIhAIlvXMkamkbFYxQ1/HE/bJXFhDvtZz3ZXi9bw4ximAOV\n"
	"-----END CERTIFICATE-----\n";

/* Its key. */
static const char server_key[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCItpYN1HVNolP7eJ\n"
	"meTo6NcSBv3W/C/vemvdf24M1sWhRANCAASt0wN5QBcV6zkRuA/oLFYRttz5zOta\n"
	"SxnYGLmO/eT7l+i5nXs7OMCp/goYPnjdRsP5thlAUAHL3bj4OVaXvXpE\n"
	"-----END PRIVATE KEY-----\n";

#endif
