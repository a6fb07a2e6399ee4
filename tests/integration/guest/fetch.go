// A Go program that asks names of Go's own resolver and fetches over HTTP and HTTPS.
//
//	fetch get URL CA-FILE    prints the status and the body
//	fetch look NAME          prints what its resolver knows about a name
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func get(url, authority string) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		fail(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	answer, err := client.Get(url)
	if err != nil {
		fail(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		fail(err)
	}
	fmt.Printf("%s\n%s", answer.Status, body)
}

func look(name string) {
	addresses, err := net.LookupHost(name)
	sort.Strings(addresses)
	fmt.Println(addresses, err)
	mail, err := net.LookupMX("example.net")
	for _, record := range mail {
		fmt.Println(record.Pref, record.Host)
	}
	if err != nil {
		fail(err)
	}
}

func main() {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "get":
		get(os.Args[2], os.Args[3])
	case len(os.Args) == 3 && os.Args[1] == "look":
		look(os.Args[2])
	default:
		os.Exit(2)
	}
}
