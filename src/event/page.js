"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");
const SVG = "http://www.w3.org/2000/svg";
const CHUNK = 100;
const LANES = 40;
let query = [];
const redraws = [];

/* --- text --- */

/* What would hide, or turn the direction of what stands beside it, is spelled out. */
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
function plain(text) {
	return String(text).replace(HIDDEN, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}
const count = (n) => (n || 0).toLocaleString();
function bytes(n) {
	const units = ["B", "kB", "MB", "GB", "TB", "PB"];
	let i = 0;
	for (n = n || 0; n >= 1000 && i < units.length - 1; i++)
		n /= 1000;
	return (i && n < 100 ? n.toFixed(1) : Math.round(n)) + " " + units[i];
}
function span(ms) {
	if (ms < 1000)
		return Math.round(ms) + " ms";
	if (ms < 60000)
		return (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + " s";
	if (ms < 3600000)
		return Math.floor(ms / 60000) + " min " + Math.round(ms % 60000 / 1000) + " s";
	return Math.floor(ms / 3600000) + " h " + Math.round(ms % 3600000 / 60000) + " min";
}
const pad = (n, width = 2) => String(n).padStart(width, "0");
function time(ms) {
	const d = new Date(ms);
	return isNaN(d) ? "" : `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ` +
		`${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

/* --- elements: text is text, never markup --- */

function fill(element, attributes, children) {
	for (const [key, value] of Object.entries(attributes || {})) {
		if (value !== undefined && value !== null)
			element.setAttribute(key, value);
	}
	for (const child of children)
		element.append(child instanceof Node ? child : plain(child));
	return element;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

function section(id, title, note) {
	const body = el("div");
	const remark = el("p", {}, note || "");
	main.append(el("section", { id }, el("div", { class: "head" }, el("h2", {}, title), remark), body));
	document.getElementById("sections").append(el("a", { href: "#" + id }, title));
	return { body, remark };
}

/* --- search --- */

const haystacks = new WeakMap();
function matches(row) {
	if (!query.length)
		return true;
	let hay = haystacks.get(row);
	if (hay === undefined) {
		hay = Object.values(row).flat().filter((v) => typeof v === "string").map(plain)
			.join("\n").toLowerCase();
		haystacks.set(row, hay);
	}
	return query.every((word) => hay.includes(word));
}
function search(text) {
	query = text.toLowerCase().split(/\s+/).filter(Boolean);
	let found = 0;
	for (const redraw of redraws)
		found += redraw() || 0;
	document.getElementById("found").textContent = query.length ? plural(found, "row", "rows") : "";
}
const box = document.getElementById("search");
box.addEventListener("input", () => search(box.value));
function searchFor(text) {
	box.value = box.value === text ? "" : text;
	search(box.value);
}

/* --- tables --- */

const shows = {
	text: (v) => (v === undefined ? "" : v), count, bytes: (v) => (v ? bytes(v) : ""),
	span: (v) => (v ? span(v) : ""), time: (v) => (v ? time(v) : ""),
};

function compare(a, b, descending) {
	const none = (v) => v === undefined || v === null || v === "";
	if (none(a) || none(b))
		return none(a) - none(b);
	const c = typeof a === "number" && typeof b === "number" ? a - b :
		String(a).localeCompare(String(b), undefined, { numeric: true });
	return descending ? -c : c;
}

function table(id, title, columns, rows, total, left) {
	const { body, remark } = section(id, title);
	const thead = el("tr"), tbody = el("tbody");
	const button = el("button", { class: "more", type: "button" });
	let sorted = { column: columns.find((c) => c.first) || columns[0], descending: true };
	let limit = CHUNK;

	function value(row, column) {
		return column.value ? column.value(row) : row[column.key];
	}
	function cell(row, column) {
		const number = column.type && column.type !== "text";
		const v = value(row, column);
		const shown = shows[column.type || "text"](v);
		const bad = column.bad && v;
		return el("td", { class: (number ? "num" : "text") + (column.type === "time" ? " time" : "") + (bad ? " bad" : ""), "data-label": column.label,
			title: column.type === "bytes" && v ? count(v) + " bytes" : undefined },
			column.bad && !v ? "" : shown);
	}
	function draw() {
		const some = rows.filter(matches);
		const { column, descending } = sorted;
		some.sort((a, b) => compare(value(a, column), value(b, column), descending));
		tbody.replaceChildren(...some.slice(0, limit)
			.map((row) => el("tr", {}, ...columns.map((c) => cell(row, c)))));
		for (const th of thead.children)
			th.setAttribute("aria-sort", th.column !== column ? "none" :
				descending ? "descending" : "ascending");
		const notes = [query.length ? `${count(some.length)} of ${count(rows.length)}` : count(total)];
		if (total > rows.length)
			notes.push(`${count(total - rows.length)} more ${left} are not in this page`);
		remark.textContent = notes.join("; ");
		button.hidden = some.length <= limit;
		button.textContent = `Show more (${count(some.length - limit)} rows)`;
		return some.length;
	}
	button.addEventListener("click", () => { limit *= 4; draw(); });
	for (const column of columns) {
		const th = el("th", { scope: "col", class: column.type && column.type !== "text" ? "num" : undefined },
			el("button", { type: "button" }, column.label));
		th.column = column;
		th.firstChild.addEventListener("click", () => {
			const again = sorted.column === column;
			sorted = { column, descending: again ? !sorted.descending : column.type !== undefined &&
				column.type !== "text" };
			draw();
		});
		thead.append(th);
	}
	if (rows.length)
		body.append(el("div", { class: "scroll" }, el("table", {}, el("thead", {}, thead), tbody)), button);
	else
		body.append(el("p", { class: "empty" }, "none"));
	redraws.push(draw);
	draw();
}

/* --- the head --- */

function head() {
	const runs = data.runs_total === 1 && data.runs[0].id ? `run ${data.runs[0].id}` :
		plural(data.runs_total, "run", "runs");
	const parts = [data.files.join(", "), runs];
	if (data.first)
		parts.push(`${time(data.first)}, ${span(data.last - data.first)}`);
	document.getElementById("what").textContent = parts.map(plain).join(" · ");
	if (data.runs_total === 1 && data.runs[0].command)
		document.getElementById("what").after(el("p", {}, el("code", {}, data.runs[0].command),
			data.runs[0].exit === undefined ? "" : ` ended with exit status ${data.runs[0].exit}`));

	const notices = document.getElementById("notices");
	const full = Object.entries(data.left_out);
	if (full.length)
		notices.append(el("p", { class: "notice" },
			"This log has more distinct entries than a report holds. Counted as one, as other: " +
			full.map(([name, n]) => `${count(n)} of ${name}`).join(", ") + "."));
	const lost = data.runs.reduce((sum, run) => sum + (run.lost || 0), 0);
	if (lost)
		notices.append(el("p", { class: "notice" }, `${plural(lost, "record", "records")} could not be ` +
			"written to the log: what is here is not all there was."));
	for (const failure of data.failures)
		notices.append(el("p", { class: "notice" }, `Failure of a run: ${failure.key} (${failure.count})`));

	const failed = data.events.connect_result ? data.errors.reduce((n, e) => n + e.count, 0) : 0;
	const refused = data.events.policy_violation;
	const tiles = [
		[count(data.flows_total), data.flows_total === 1 ? "flow" : "flows"],
		[bytes(data.down), "received"], [bytes(data.up), "sent"],
		[count(data.names_total), data.names_total === 1 ? "name asked" : "names asked"],
		[count(failed), failed === 1 ? "failed connection" : "failed connections", failed],
		[count(refused), refused === 1 ? "refusal" : "refusals", refused],
	];
	main.append(el("div", { class: "tiles" }, ...tiles.map(([n, what, bad]) =>
		el("div", { class: "tile" }, el("b", { class: bad ? "bad" : undefined }, n), el("span", {}, what)))));
}

/* --- activity --- */

function activity() {
	if (!data.activity)
		return;
	const { start, width, bins } = data.activity;
	const { body } = section("activity", "Activity", `one bar is ${span(width)}`);
	const WIDTH = 1000, HEIGHT = 110;
	const most = Math.max(1, ...bins.map((b) => b[0] + b[1] + b[2]));
	const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", height: HEIGHT,
		role: "img", "aria-label": "flows, DNS questions and refusals over time" });
	const kinds = [["flows", 0], ["queries", 2], ["refusals", 1]];
	const step = WIDTH / Math.max(bins.length, 24);
	bins.forEach((bin, i) => {
		const group = svg("g", {}, svg("title", {}, `${time(start + i * width)}: ${plural(bin[0], "flow", "flows")}, ` +
			`${plural(bin[2], "question", "questions")}, ${plural(bin[1], "refusal", "refusals")}, ` +
			`${bytes(bin[3])} sent, ${bytes(bin[4])} received`));
		let top = HEIGHT;
		for (const [name, k] of kinds) {
			const height = bin[k] ? Math.max(2, bin[k] / most * (HEIGHT - 4)) : 0;
			top -= height;
			if (height)
				group.append(svg("rect", { class: name, x: i * step, y: top, width: Math.max(1, step - 1), height }));
		}
		group.append(svg("rect", { x: i * step, y: 0, width: step, height: HEIGHT, fill: "transparent" }));
		chart.append(group);
	});
	body.append(chart,
		el("div", { class: "axis" }, el("span", {}, time(start)),
			el("span", {}, time(start + width * Math.max(bins.length, 24)))),
		el("span", { class: "key ok" }, "flows begun"), " ", el("span", { class: "key name" }, "DNS questions"), " ",
		el("span", { class: "key bad" }, "refusals"));
}

/* --- who talked to whom --- */

const NODES = 12;
const OTHERS = "\u0000others";

/* Paths of up to three nodes; the lesser nodes of a column become one. */
function paths() {
	const all = [];
	const byBytes = data.up + data.down > 0;
	for (const t of data.talks)
		all.push({ nodes: [t.process, t.name, t.target], weight: byBytes ? (t.up || 0) + (t.down || 0) : t.flows,
			bad: false, row: t });
	for (const r of data.refusals)
		all.push({ nodes: r.protocol === "dns" ? [r.process, r.target, null] : [r.process, undefined, r.target],
			weight: 0, bad: true, row: r });
	return all;
}

function columnsOf(some) {
	return [0, 1, 2].map((k) => {
		const sums = new Map();
		for (const path of some) {
			const name = path.nodes[k];
			if (name === null)
				continue;
			const node = sums.get(name) || { name, weight: 0, bad: true, n: 0 };
			node.weight += path.weight;
			node.bad = node.bad && path.bad;
			node.n++;
			sums.set(name, node);
		}
		const list = [...sums.values()].sort((a, b) => b.weight - a.weight || b.n - a.n);
		const shown = list.slice(0, list.length > NODES ? NODES - 1 : NODES);
		const rest = list.slice(shown.length);
		if (rest.length)
			shown.push({ name: OTHERS, n: rest.length, bad: rest.every((r) => r.bad),
				weight: rest.reduce((sum, r) => sum + r.weight, 0) });
		return shown;
	});
}

/* What belongs to what stands in the second and third column in the order of the one before. */
function untangle(columns, some) {
	for (let k = 1; k < 3; k++) {
		const before = new Map(columns[k - 1].map((node, i) => [node.name, i]));
		const sums = new Map();
		for (const path of some) {
			if (path.nodes[k] === null)
				continue;
			const sum = sums.get(path.nodes[k]) || [0, 0];
			const weight = path.weight || 1;
			sum[0] += weight * (before.has(path.nodes[k - 1]) ? before.get(path.nodes[k - 1]) : before.size);
			sum[1] += weight;
			sums.set(path.nodes[k], sum);
		}
		const rank = (node) => (node.name === OTHERS ? Infinity : sums.get(node.name)[0] / sums.get(node.name)[1]);
		const ranks = new Map(columns[k].map((node) => [node, rank(node)]));
		columns[k].sort((a, b) => (ranks.get(a) === ranks.get(b) ? 0 : ranks.get(a) - ranks.get(b)));
	}
}

function drawMap(body) {
	const some = paths().filter((path) => matches(path.row));
	const columns = columnsOf(some);
	const wide = Math.max(body.clientWidth, 280), narrow = wide < 560;
	const total = Math.max(1, some.reduce((sum, path) => sum + path.weight, 0));
	const GAP = 10, LEAST = 10, BAR = 8, TOP = 22;
	const scale = 140 / total;
	const at = [0, narrow ? wide * 0.36 : wide * 0.38, wide - BAR];
	const room = [at[1] - 20, at[2] - at[1] - (narrow ? 110 : 230), narrow ? 100 : 220];
	const titles = ["process", "name", "address"];
	untangle(columns, some);
	let high = 0;
	const places = columns.map((column, k) => {
		let y = TOP;
		const place = new Map();
		for (const node of column) {
			node.height = Math.max(LEAST, node.weight * scale);
			node.x = at[k];
			node.y = node.left = node.right = y;
			y += node.height + GAP;
			place.set(node.name, node);
		}
		high = Math.max(high, y);
		return place;
	});
	const picture = svg("svg", { viewBox: `0 0 ${wide} ${high}`, height: high, role: "img",
		"aria-label": "which process talked to which address, and under which name" });
	const links = svg("g"), nodes = svg("g");
	const find = (k, name) => places[k].get(name) || places[k].get(OTHERS);

	picture.append(...titles.map((t, k) => svg("text", { class: "dim", x: k === 2 ? wide : at[k], y: 12,
		"text-anchor": k === 2 ? "end" : "start" }, t)), links, nodes);
	const drawn = new Map();
	for (const path of some) {
		for (let k = 0; k < 2; k++) {
			if (path.nodes[k + 1] === null)
				continue;
			const from = find(k, path.nodes[k]), to = find(k + 1, path.nodes[k + 1]);
			const id = `${columns[k].indexOf(from)} ${k} ${columns[k + 1].indexOf(to)} ${path.bad}`;
			const link = drawn.get(id) || { from, to, bad: path.bad, weight: 0 };
			link.weight += path.weight;
			drawn.set(id, link);
		}
	}
	for (const link of [...drawn.values()].sort((a, b) => a.from.y - b.from.y || a.to.y - b.to.y)) {
		const { from, to } = link;
		const thick = Math.max(1.5, link.weight * scale);
		const y1 = Math.min(from.right + thick / 2, from.y + from.height - thick / 2);
		const y2 = Math.min(to.left + thick / 2, to.y + to.height - thick / 2);
		const x1 = from.x + BAR, x2 = to.x, mid = (x1 + x2) / 2;
		from.right += thick;
		to.left += thick;
		const line = svg("path", { class: "link" + (link.bad ? " bad" : ""), "stroke-width": thick,
			d: `M${x1} ${y1}C${mid} ${y1} ${mid} ${y2} ${x2} ${y2}` });
		link.line = line;
		links.append(line);
	}
	columns.forEach((column, k) => column.forEach((node) => {
		const none = node.name === undefined || node.name === OTHERS;
		const text = node.name === undefined ? ["unknown process", "no name", "no address"][k] :
			node.name === OTHERS ? `${count(node.n)} others` : plain(node.name);
		const letters = Math.max(6, Math.floor(room[k] / 6.6));
		const short = text.length > letters ? text.slice(0, letters - 1) + "…" : text;
		const group = svg("g", { class: "node" + (node.bad ? " bad" : k === 1 ? " name" : "") + (none ? " none" : "") },
			svg("title", {}, text + (node.weight ? `: ${data.up + data.down ? bytes(node.weight) :
				plural(node.weight, "flow", "flows")}` : "")),
			svg("rect", { x: node.x, y: node.y, width: BAR, height: node.height, rx: 2 }),
			svg("text", { x: k === 2 ? node.x - 6 : node.x + BAR + 6, y: node.y + Math.min(node.height / 2, 40) + 4,
				"text-anchor": k === 2 ? "end" : "start" }, short));
		const light = (on) => {
			for (const link of drawn.values()) {
				const mine = link.from === node || link.to === node;
				link.line.classList.toggle("lit", on && mine);
				link.line.classList.toggle("dimmed", on && !mine);
			}
		};
		group.addEventListener("mouseenter", () => light(true));
		group.addEventListener("mouseleave", () => light(false));
		if (!none)
			group.addEventListener("click", () => searchFor(node.name));
		nodes.append(group);
	}));
	body.replaceChildren(some.length ? picture : el("p", { class: "empty" }, "none"));
}

function map() {
	const { body } = section("map", "Who talked to whom",
		data.up + data.down ? "as wide as the bytes; refused is dashed; a click searches" :
			"as wide as the flows; refused is dashed; a click searches");
	const draw = () => { drawMap(body); };
	redraws.push(draw);
	draw();
	let waiting = 0, width = body.clientWidth;
	window.addEventListener("resize", () => {
		cancelAnimationFrame(waiting);
		waiting = requestAnimationFrame(() => {
			if (body.clientWidth !== width) {
				width = body.clientWidth;
				draw();
			}
		});
	});
}

/* --- timeline --- */

function timeline() {
	if (!data.flows.length)
		return;
	const { body, remark } = section("timeline", "Timeline");
	const lanes = el("div", { class: "lanes" });
	const button = el("button", { class: "more", type: "button" });
	const axis = el("div", { class: "axis" });
	let limit = body.clientWidth < 560 ? LANES / 2 : LANES;

	function lane(flow, from, length) {
		const who = [flow.process, flow.name || flow.target].filter(Boolean);
		const left = (flow.start - from) / length * 100;
		const bar = el("div", { class: "bar " + flow.state });
		bar.style.left = Math.min(Math.max(left, 0), 99.5) + "%";
		bar.style.width = Math.max(0, Math.min((flow.ms || 0) / length * 100, 100 - left)) + "%";
		const facts = [`${flow.protocol || ""} ${flow.target || ""}`, flow.start && time(flow.start), span(flow.ms || 0),
			`${bytes(flow.up)} sent, ${bytes(flow.down)} received`, flow.error || flow.reason];
		return el("div", { class: "lane", title: plain(facts.filter(Boolean).join("\n")) },
			el("div", { class: "label" }, el("i", {}, (who.length > 1 ? who[0] : flow.protocol || "") + " "),
				who[who.length - 1] || "?"),
			el("div", { class: "track" }, bar),
			el("div", { class: "size" }, flow.state === "failed" ? "failed" : bytes((flow.up || 0) + (flow.down || 0))));
	}
	function draw() {
		const some = data.flows.filter(matches);
		const timed = some.filter((f) => f.start);
		const from = Math.min(...timed.map((f) => f.start));
		const to = Math.max(...timed.map((f) => f.start + (f.ms || 0)));
		const length = Math.max(1, to - from);
		lanes.replaceChildren(...some.slice(0, limit).map((f) => lane(f, timed.length ? from : 0, length)));
		axis.replaceChildren(el("span", {}, timed.length ? time(from) : ""),
			el("span", {}, timed.length ? "+ " + span(length) : ""));
		const notes = [query.length ? `${count(some.length)} of ${count(data.flows.length)}` :
			plural(data.flows.length, "flow", "flows") + " in the order of their beginnings"];
		if (data.flows_total > data.flows.length)
			notes.push(`those that moved most; ${count(data.flows_total - data.flows.length)} more are not in this page`);
		remark.textContent = notes.join("; ");
		button.hidden = some.length <= limit;
		button.textContent = `Show more (${count(some.length - limit)} flows)`;
	}
	button.addEventListener("click", () => { limit *= 4; draw(); });
	body.append(axis, lanes, button, el("div", {}, el("span", { class: "key ok" }, "ended"), " ",
		el("span", { class: "key bad" }, "failed"), " ", el("span", { class: "key warn" }, "no end recorded")));
	redraws.push(draw);
	draw();
}

/* --- all of it --- */

head();
activity();
map();
timeline();
table("refusals", "Refusals", [
	{ key: "process", label: "Process" }, { key: "target", label: "Target" }, { key: "protocol", label: "Protocol" },
	{ key: "control", label: "Control" }, { key: "rule", label: "Rule" },
	{ label: "Reason", value: (r) => (r.reason || "") + (r.audit ? " (audit: let pass)" : "") },
	{ key: "count", label: "Times", type: "count", first: true }, { key: "last", label: "Last", type: "time" },
], data.refusals, data.refusals_total, "refusals");
table("connections", "Connections", [
	{ key: "process", label: "Process" }, { key: "name", label: "Name" }, { key: "target", label: "Address" },
	{ key: "protocol", label: "Protocol" }, { key: "flows", label: "Flows", type: "count" },
	{ key: "errors", label: "Failed", type: "count", bad: true },
	{ label: "Received", type: "bytes", value: (t) => t.down || 0, first: true },
	{ label: "Sent", type: "bytes", value: (t) => t.up || 0 },
	{ key: "ms", label: "Open for", type: "span" }, { key: "last", label: "Last", type: "time" },
], data.talks, data.talks_total, "connections");
table("names", "Names", [
	{ key: "name", label: "Name" }, { key: "queries", label: "Questions", type: "count", first: true },
	{ key: "answers", label: "Answers", type: "count" },
	{ label: "Addresses", value: (n) => n.ips.join(", ") + (n.more_ips ? ` and ${count(n.more_ips)} more` : "") },
], data.names.map((n) => ({ ...n, hay: n.ips })), data.names_total, "names");
table("processes", "Processes", [
	{ key: "process", label: "Process" }, { key: "exe", label: "Program" },
	{ label: "PID", value: (p) => (p.pids > 1 ? `${p.pid} and ${count(p.pids - 1)} more` : p.pid) },
	{ key: "flows", label: "Flows", type: "count", first: true },
	{ label: "Received", type: "bytes", value: (p) => p.down || 0 },
	{ label: "Sent", type: "bytes", value: (p) => p.up || 0 },
], data.processes, data.processes_total, "processes");
table("errors", "Connect errors", [
	{ key: "key", label: "Error" }, { key: "count", label: "Times", type: "count", first: true },
], data.errors, data.errors.length, "errors");
table("runs", "Runs", [
	{ key: "id", label: "Run" }, { key: "command", label: "Command" },
	{ key: "first", label: "Begin", type: "time", first: true },
	{ label: "Duration", type: "span", value: (r) => (r.last || 0) - (r.first || 0) },
	{ key: "exit", label: "Exit status", value: (r) => (r.exit === undefined ? "unknown" : r.exit) },
	{ key: "lost", label: "Lost records", type: "count", bad: true },
], data.runs, data.runs_total, "runs");
table("events", "Records", [
	{ key: "key", label: "Kind" }, { key: "count", label: "Count", type: "count", first: true },
], Object.entries(data.events).map(([key, n]) => ({ key, count: n })), Object.keys(data.events).length, "kinds");
})();
