// Tells the fleet how this pi is: heartbeats and acknowledgements, in the files that
// docs/usage/runtimes.md describes. Hands it the messages that wait in the agent's queue whenever it
// has nothing to do. `mosaic yolo pi` loads it with -e; it changes nothing of pi.
// Nothing here may throw into pi, hold it up or keep it from ending.

import type { ExtensionAPI, ExtensionContext } from "@earendil-works/pi-coding-agent";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;
const DEFAULT_INTERVAL = 15;
const LONGEST_INTERVAL = 3600;
/** How far the file of acknowledgements grows. */
const LONGEST_ACKS = 1 << 20;
/** More prompts than this are never waiting. */
const MOST_WAITING = 64;
/** pi tries again this often, after 2, 4 and 8 s, and takes no message meanwhile. */
const RETRIES = 3;
/** pi says when a compaction ends, but not when it fails. */
const LONGEST_COMPACTION_MS = 5 * 60_000;
/** How long the queue may take to answer, and how much it may say. */
const QUEUE_TIMEOUT_MS = 10_000;
const LONGEST_MAIL = 16 << 20;

/** What outlives a new conversation, for which pi loads this file anew. */
const kept: { first?: number; boottime: number; micros: number; mail: string; asking: boolean; hand?: () => void } =
    ((globalThis as any)[Symbol.for("mosaic.fleet")] ??= { boottime: 0, micros: 0, mail: "", asking: false });

type Said = { state: string; resumeAt?: number };

export default function (pi: ExtensionAPI) {
    const me = identity();
    if (!me) return;

    let ctx: ExtensionContext | undefined;
    let timer: NodeJS.Timeout | undefined;
    let watcher: fs.FSWatcher | undefined;
    let compactingUntil = 0;
    let retryingUntil = 0;
    let failures = 0;
    let trouble: Said | undefined;
    const waiting: string[] = [];

    /** Whether pi takes a message at once. */
    function busy(): boolean {
        const now = Date.now();
        return !ctx?.isIdle() || now < compactingUntil || now < retryingUntil;
    }

    function beat() {
        const here = ctx;
        if (!here) return;
        quietly(() => {
            const working = busy();
            const said = trouble ?? lacksLogin(here) ?? { state: working ? "working" : "idle" };
            writeBeat(me!, working, said, here.sessionManager.getSessionId());
        });
        watchProbe();
    }

    /** Beats until the status is what it has to become: pi is busy for a moment after it says that it ended. */
    function settle(pause = 0) {
        const later = () => quietly(() => {
            beat();
            if (!busy()) takeMail();
            else if (pause < 1000) settle(pause === 0 ? 50 : pause * 2);
        });
        pause === 0 ? setImmediate(later) : setTimeout(later, pause).unref();
    }

    /** Asks for what waits in the queue, where something does; what it hands out counts as delivered. */
    function takeMail() {
        if (kept.asking || !hasMail(me!.queue)) return;
        kept.asking = true;
        const limits = { timeout: QUEUE_TIMEOUT_MS, maxBuffer: LONGEST_MAIL };
        execFile("mosaic", ["mail", "check", "--inject"], limits, (_error, stdout) => quietly(() => {
            kept.asking = false;
            kept.mail += stdout;
            // Another conversation may have begun meanwhile: it gets it then.
            kept.hand?.();
        }));
    }

    function handMail() {
        const mail = kept.mail.trim();
        if (!ctx || mail === "") return;
        pi.sendUserMessage(mail, ctx.isIdle() ? undefined : { deliverAs: "followUp" });
        kept.mail = "";
    }

    function acknowledge(event: "prompt" | "queued" | "reset", sha256?: string) {
        quietly(() => {
            const line = { ts: new Date().toISOString(), event, sha256, pid: process.pid, tenant_id: me!.tenant, host: me!.host };
            append(me!.file("ack"), JSON.stringify(line) + "\n", LONGEST_ACKS);
        });
    }

    /** The file, not its folder: there every beat of every agent would wake us. */
    function watchProbe() {
        if (watcher) return;
        quietly(() => {
            append(me!.file("probe"), "", Infinity);
            const mine = fs.watch(me!.file("probe"), { persistent: false }, (event) => {
                // Replaced or removed: there is another one to watch.
                if (event === "rename") forgetProbe();
                beat();
            });
            mine.on("error", forgetProbe);
            watcher = mine;
        });
    }

    function forgetProbe() {
        quietly(() => watcher?.close());
        watcher = undefined;
    }

    function on(event: string, handler: (event: any, ctx: ExtensionContext) => void) {
        pi.on(event as any, (event: any, here: ExtensionContext) => quietly(() => handler(event, here)));
    }

    on("session_start", (event, here) => {
        // Without a terminal it is a program that the agent runs, not the agent.
        if (!here.hasUI) return;
        ctx = here;
        fs.mkdirSync(me!.run, { recursive: true, mode: 0o700 });
        if (event.reason === "new") acknowledge("reset");
        timer = setInterval(beat, me!.interval * 1000);
        timer.unref();
        // Only when this turn of the loop is over does pi wait for input; what is entered sooner is lost.
        setImmediate(() => quietly(() => {
            beat();
            kept.hand = handMail;
            handMail();
            if (!busy()) takeMail();
        }));
    });

    on("session_shutdown", () => {
        clearInterval(timer);
        forgetProbe();
        ctx = undefined;
    });

    on("input", (event, here) => {
        if (!ctx) return;
        compactingUntil = 0;
        const sha256 = digest(event.text);
        waiting.push(sha256);
        waiting.splice(0, waiting.length - MOST_WAITING);
        if (!here.isIdle() && event.source !== "extension") acknowledge("queued", sha256);
    });

    on("message_start", (event) => {
        if (!ctx || event.message.role !== "user") return;
        const sha256 = digest(text(event.message.content));
        const at = waiting.indexOf(sha256);
        // A skill's or template's name has become its text: then it is the one that waits longest.
        acknowledge("prompt", at < 0 && waiting.length > 0 ? waiting[0] : sha256);
        waiting.splice(Math.max(at, 0), 1);
    });

    on("agent_start", () => {
        compactingUntil = 0;
        retryingUntil = 0;
        beat();
    });

    on("after_provider_response", (event) => {
        if (event.status === 429) trouble = { state: "rate-limited", resumeAt: retryAfter(event.headers) };
    });

    on("message_end", (event) => {
        if (event.message.role !== "assistant") return;
        if (event.message.stopReason !== "error") {
            failures = 0;
            trouble = undefined;
            return;
        }
        failures += 1;
        trouble = meaning(String(event.message.errorMessage ?? ""), trouble);
        retryingUntil = failures > RETRIES ? 0 : Date.now() + 1000 * 2 ** failures + 500;
    });

    on("agent_end", (_event, here) => {
        if (!here.hasPendingMessages()) waiting.length = 0;
        settle();
        const pause = retryingUntil - Date.now();
        if (pause > 0) setTimeout(beat, pause + 10).unref();
    });

    on("session_before_compact", (event) => {
        compactingUntil = Date.now() + LONGEST_COMPACTION_MS;
        event.signal?.addEventListener?.("abort", () => {
            compactingUntil = 0;
            beat();
        });
        beat();
    });

    on("session_compact", () => {
        compactingUntil = 0;
        trouble = undefined;
        settle();
    });
}

/** Whose pi this is; nobody's outside a fleet. */
function identity() {
    const env = (name: string) => process.env[name] || undefined;
    const agent = env("MOSAIC_AGENT_NAME");
    if (!agent || !/^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$/.test(agent)) return undefined;
    const run = path.join(env("MOSAIC_HOME") ?? path.join(os.homedir(), ".config/mosaic"), "fleet/run");
    const asked = Number(env("MOSAIC_HEARTBEAT_INTERVAL"));
    return {
        run,
        queue: path.join(run, "queue", agent),
        file: (what: string) => path.join(run, `${agent}.${what}`),
        tenant: env("MOSAIC_TENANT_ID"),
        host: env("MOSAIC_HOST"),
        interval: Number.isInteger(asked) && asked >= 1 && asked <= LONGEST_INTERVAL ? asked : DEFAULT_INTERVAL,
    };
}

function quietly(what: () => void) {
    try {
        what();
    } catch {
        // The fleet sees that nothing comes; the conversation goes on.
    }
}

/** Messages that wait, that a program which ended has left, or that expired; the folder holds other files, too. */
function hasMail(folder: string): boolean {
    try {
        return fs.readdirSync(folder).some(name => /^([01]-|\.claimed-|\.expired-)/.test(name));
    } catch {
        return false;
    }
}

function writeBeat(me: NonNullable<ReturnType<typeof identity>>, busy: boolean, said: Said, session: string) {
    // Two beats never have the same time: a newer one is the answer to a probe.
    kept.micros = Math.max(Date.now() * 1000, kept.micros + 1);
    kept.boottime = Math.max(Number(fs.readFileSync("/proc/uptime", "utf8").split(" ")[0]), kept.boottime + 1e-6);
    kept.first ??= kept.boottime;
    const lines: [string, string | number | undefined][] = [
        ["ts", time(kept.micros)],
        ["pid", process.pid],
        ["status", busy ? "busy" : "ok"],
        ["interval", me.interval],
        ["tenant_id", me.tenant],
        ["host", me.host],
        ["boot_id", fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()],
        ["boottime", kept.boottime.toFixed(6)],
        ["first", kept.first.toFixed(6)],
        ["source", "runtime"],
        ["state", said.state],
        ["resume_at", said.resumeAt && new Date(said.resumeAt).toISOString()],
        ["session", session],
    ];
    const text = lines.filter(([, value]) => value !== undefined && value !== "");
    // One value is one line, whatever it holds.
    replace(me.file("hb"), text.map(([key, value]) => `${key}=${String(value).replace(/[\0-\x1f\x7f-\x9f]/g, " ")}\n`).join(""));
}

function time(micros: number): string {
    const millis = Math.floor(micros / 1000);
    return new Date(millis).toISOString().replace("Z", `${String(micros - millis * 1000).padStart(3, "0")}Z`);
}

/** By this a prompt is found again: line ends, tabs and white space at the ends are not the sender's. */
function digest(prompt: string): string {
    const plain = prompt.replace(/\r\n?/g, "\n").replace(/\t/g, "    ");
    return createHash("sha256").update(plain.replace(/^\p{White_Space}+|\p{White_Space}+$/gu, ""), "utf8").digest("hex");
}

function text(content: any): string {
    if (typeof content === "string") return content;
    return content.filter((part: any) => part.type === "text").map((part: any) => part.text).join("\n");
}

function lacksLogin(ctx: ExtensionContext): Said | undefined {
    const model = ctx.model;
    return model && ctx.modelRegistry.hasConfiguredAuth(model) ? undefined : { state: "auth-expired" };
}

/** What the provider's words mean; what they don't tell is no state. */
function meaning(error: string, before: Said | undefined): Said | undefined {
    if (/rate.?limit|usage.?limit|quota|too many requests|\b429\b/i.test(error)) {
        const minutes = /try again in ~?(\d+) min/i.exec(error)?.[1];
        const resumeAt = minutes ? Date.now() + Number(minutes) * 60_000 : before?.resumeAt;
        return { state: "rate-limited", resumeAt };
    }
    if (/\b401\b|unauthorized|authentication|invalid.?api.?key|token.{0,20}expired|re-authenticate/i.test(error)) {
        return { state: "auth-expired" };
    }
    if (/context.{0,20}(length|window|limit)|prompt is too long|too many tokens/i.test(error)) {
        return { state: "context-full" };
    }
    return undefined;
}

function retryAfter(headers: Record<string, string>): number | undefined {
    const value = headers?.["retry-after"];
    const at = /^\d+$/.test(value ?? "") ? Date.now() + Number(value) * 1000 : Date.parse(value ?? "");
    return Number.isFinite(at) ? at : undefined;
}

/** A reader sees the old or the new content, never a part; a link there is replaced, not followed. */
function replace(file: string, content: string | Buffer) {
    const next = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString("hex")}`);
    const fd = fs.openSync(next, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
        fs.writeSync(fd, content as string);
        fs.closeSync(fd);
        fs.renameSync(next, file);
    } catch (error) {
        fs.rmSync(next, { force: true });
        throw error;
    }
}

/** Adds a line in one write; what would grow beyond `longest` begins anew with its later half. */
function append(file: string, line: string, longest: number) {
    const fd = fs.openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    try {
        const facts = fs.fstatSync(fd);
        if (!facts.isFile()) return;
        if (facts.size + line.length <= longest) {
            fs.writeSync(fd, line);
            return;
        }
    } finally {
        fs.closeSync(fd);
    }
    const old = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
        const half = Buffer.alloc(longest / 2);
        const size = fs.fstatSync(old).size;
        const read = fs.readSync(old, half, 0, half.length, Math.max(size - half.length, 0));
        const from = half.indexOf(10) + 1;
        replace(file, Buffer.concat([half.subarray(from, read), Buffer.from(line)]));
    } finally {
        fs.closeSync(old);
    }
}
