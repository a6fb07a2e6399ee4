"""Flow logs written by hand: the lines of schema 1, with and without what was added to it."""

import json

T0 = 1_790_000_000_000


def record(event, ts_ms=T0, **fields):
    return {"schema_version": 1, "ts_ms": ts_ms, "event": event, **fields}


def remote(ip, port):
    addr = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
    return {"remote_addr": addr, "remote_ip": ip, "remote_port": port}


def dns_query(qname, qtype="A", **more):
    server = {"server": "192.0.2.53:53", "server_ip": "192.0.2.53", "server_port": 53}
    return record("dns_query", protocol="udp", qname=qname, qtype=qtype, **server, **more)


def dns_answer(qname, ips=(), mode="relayed", **more):
    asked = dns_query(qname)
    return {**asked, "event": "dns_answer", "mode": mode, "bytes": 60, "answer_ips": list(ips), **more}


def attempt(ip, port, via_proxy=False, **more):
    return record("connect_attempt", protocol="tcp", **remote(ip, port), via_proxy=via_proxy, **more)


def result(ip, port, error=None, via_proxy=False, **more):
    status = "error" if error else "ok"
    return record(
        "connect_result",
        protocol="tcp",
        **remote(ip, port),
        via_proxy=via_proxy,
        status=status,
        error=error,
        **more,
    )


def flow_end(ip, port, protocol="tcp", **more):
    return record("flow_end", protocol=protocol, **remote(ip, port), **more)


def violation(remote_text, reason_code, control, ip=None, port=None, protocol="tcp", **more):
    fields = {
        "action": "deny",
        "matched_cidr": None,
        "matched_domain": None,
        "reason": f"blocked by {control}",
        **more,
    }
    return record(
        "policy_violation",
        protocol=protocol,
        remote=remote_text,
        remote_ip=ip,
        remote_port=port,
        reason_code=reason_code,
        control=control,
        **fields,
    )


def failure(phase, reason_code, detail="why"):
    return record("runtime_failure", phase=phase, reason_code=reason_code, detail=detail)


def fetch(name, ip, port=80, **more):
    """What one fetch leaves."""
    return [
        dns_query(name),
        dns_answer(name, [ip]),
        attempt(ip, port, **more),
        result(ip, port, **more),
        flow_end(ip, port, **more),
    ]


def process(pid, comm, exe=None):
    return {"pid": pid, "comm": comm, "exe": exe or f"/usr/bin/{comm}"}


class Run:
    """A run as it is recorded today: with ids, names, processes, bytes."""

    def __init__(self, run_id="0000abcd-000000000000beef", start=T0):
        self.run_id, self.now, self.flow_id = run_id, start, 0
        self.records = []
        self.add(record("run_start", version="0.1.0", backend="rootless-internal", command=["true"]))

    def add(self, *records):
        for rec in records:
            self.records.append({**rec, "run_id": self.run_id, "ts_ms": self.now})
        return self

    def ask(self, name, ips, who=None, **more):
        who = who or {}
        self.add(dns_query(name, **who), dns_answer(name, ips, **who, **more))
        self.now += 3

    def talk(self, ip, port, who=None, names=(), protocol="tcp", up=0, down=0, ms=10, error=None, **more):
        self.flow_id += 1
        same = {"flow_id": self.flow_id, "names": list(names), **(who or {}), **more}
        if protocol == "tcp":
            self.add(attempt(ip, port, **same))
            self.now += 1
            self.add(result(ip, port, error, **same))
        else:
            self.add(record("flow_start", protocol=protocol, **remote(ip, port), **same))
        start, self.now = self.now, self.now + ms
        self.add(
            flow_end(
                ip,
                port,
                protocol,
                bytes_up=up,
                bytes_down=down,
                duration_ms=ms + 1,
                close_reason="remote_reset" if error else "eof",
                **same,
            )
        )
        self.now = start + 2

    def end(self, exit_code=0, lost=0):
        return self.add(record("run_end", exit_code=exit_code, refused_full=0, lost_records=lost))


def lines(records):
    return "".join(json.dumps(r, sort_keys=True, separators=(",", ":")) + "\n" for r in records)


def write(path, records):
    path.write_text(lines(records))
    return path
