// A language model's server for tests, on loopback: chat completions, responses and messages, streamed and whole.
// usage: node llm.mjs PORT LOG    (port 0: any; "listening PORT" is printed once it listens)
//
// It answers each prompt by naming its length and its end, or does what the last line of the prompt with one of these asks for:
//   SLEEP:SECONDS   answers that much later, so that the runtime is busy
//   TOOL:COMMAND    has the runtime run a shell command first
//   STATUS:CODE     refuses with that HTTP status
// LOG gets one JSON line a request: when, path, model, the last prompt.

import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

const [port, log] = process.argv.slice(2);
const DELAY_MS = 100;
const SHELLS = ["bash", "Bash", "shell", "shell_command", "exec_command", "local_shell"];
let served = 0;

/** The text of a message's content, whatever its dialect. */
function text(content) {
    if (typeof content === "string") return content;
    return (content ?? []).map((part) => part.text ?? "").join("\n");
}

function control(prompt, word) {
    return prompt.split("\n").map((line) => line.split(`${word}:`)[1]).findLast(Boolean)?.trim();
}

/** What is asked: the prompt and the tools, and whether a tool has just answered. */
function asked(body) {
    const input = body.messages ?? (Array.isArray(body.input) ? body.input : [{ role: "user", content: body.input ?? "" }]);
    const last = input.at(-1) ?? {};
    const answered = last.role === "tool" || last.type === "function_call_output" ||
        (Array.isArray(last.content) && last.content.some((part) => part.type === "tool_result"));
    const users = input.filter((m) => m.role === "user" && text(m.content) !== "");
    const tools = (body.tools ?? []).map((tool) => tool.name ?? tool.function?.name);
    return { prompt: text(users.at(-1)?.content), answered, shell: tools.find((name) => SHELLS.includes(name)) };
}

/** The answer: words, or a call of the shell. */
function answer(id, { prompt, answered, shell }) {
    const command = control(prompt, "TOOL");
    if (command && shell && !answered) {
        const input = shell === "exec_command" ? { cmd: command }
            : shell.startsWith("shell") && shell !== "shell_command" ? { command: ["bash", "-c", command] }
            : { command, description: "as asked" };
        return { call: { name: shell, id: `call_${id}`, input } };
    }
    return { words: `answer ${id} to ${prompt.length} characters: ${JSON.stringify(prompt.trim().slice(-40))}` };
}

/** A stream in pieces of the words, so that a runtime draws more than once. */
const pieces = (words) => words.match(/[^]{1,16}/g) ?? [];

const dialects = {
    "/chat/completions"(id, model, { words, call }) {
        const base = { id: `chat_${id}`, object: "chat.completion.chunk", created: 0, model };
        const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
        const delta = (delta, finish_reason = null) => [null, { ...base, choices: [{ index: 0, delta, finish_reason }] }];
        const function_ = call && { name: call.name, arguments: JSON.stringify(call.input) };
        const tool_calls = call && [{ index: 0, id: call.id, type: "function", function: function_ }];
        return {
            first: [delta({ role: "assistant", content: "" })],
            rest: [
                ...(call ? [delta({ tool_calls })] : pieces(words).map((content) => delta({ content }))),
                delta({}, call ? "tool_calls" : "stop"),
                [null, { ...base, choices: [], usage }],
            ],
            end: "data: [DONE]\n\n",
            whole: {
                ...base, object: "chat.completion", usage,
                choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: words ?? "" } }],
            },
        };
    },

    "/responses"(id, model, { words, call }) {
        const item = call
            ? { type: "function_call", id: `fc_${id}`, call_id: call.id, name: call.name, arguments: JSON.stringify(call.input), status: "completed" }
            : { type: "message", id: `msg_${id}`, role: "assistant", status: "completed", content: [{ type: "output_text", text: words, annotations: [] }] };
        const usage = { input_tokens: 10, input_tokens_details: { cached_tokens: 0 }, output_tokens: 5, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 15 };
        const response = { id: `resp_${id}`, object: "response", created_at: 0, model, status: "completed", output: [item], usage };
        let sequence_number = 0;
        const event = (type, more) => [type, { type, sequence_number: sequence_number++, ...more }];
        const begun = { output_index: 0, item: { ...item, status: "in_progress", ...(call ? { arguments: "" } : { content: [] }) } };
        const part = { output_index: 0, item_id: item.id, content_index: 0 };
        return {
            first: [event("response.created", { response: { ...response, status: "in_progress", output: [] } })],
            rest: [
                event("response.output_item.added", begun),
                ...(call ? [] : [
                    event("response.content_part.added", { ...part, part: { type: "output_text", text: "", annotations: [] } }),
                    ...pieces(words).map((delta) => event("response.output_text.delta", { ...part, delta })),
                    event("response.output_text.done", { ...part, text: words }),
                ]),
                event("response.output_item.done", { output_index: 0, item }),
                event("response.completed", { response }),
            ],
            whole: response,
        };
    },

    "/messages"(id, model, { words, call }) {
        const block = call ? { type: "tool_use", id: `toolu_${id}`, name: call.name, input: call.input } : { type: "text", text: words };
        const usage = { input_tokens: 10, output_tokens: 5, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
        const message = { id: `msg_${id}`, type: "message", role: "assistant", model, content: [], stop_reason: null, stop_sequence: null, usage };
        const stop_reason = call ? "tool_use" : "end_turn";
        const event = (type, more) => [type, { type, ...more }];
        const deltas = call ? [{ type: "input_json_delta", partial_json: JSON.stringify(call.input) }]
            : pieces(words).map((text) => ({ type: "text_delta", text }));
        return {
            first: [event("message_start", { message })],
            rest: [
                event("content_block_start", { index: 0, content_block: call ? { ...block, input: {} } : { ...block, text: "" } }),
                ...deltas.map((delta) => event("content_block_delta", { index: 0, delta })),
                event("content_block_stop", { index: 0 }),
                event("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 5 } }),
                event("message_stop", {}),
            ],
            whole: { ...message, content: [block], stop_reason },
        };
    },
};

async function serve(request, response) {
    let raw = "";
    for await (const chunk of request) raw += chunk;
    const json = (status, value) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    const path = request.url.split("?")[0];
    if (request.method === "HEAD") return json(200, {});
    if (path.endsWith("/models")) return json(200, { object: "list", data: [{ id: "test", object: "model", type: "model" }] });
    if (path.endsWith("/count_tokens")) return json(200, { input_tokens: 10 });
    const name = Object.keys(dialects).find((end) => path.endsWith(end));
    if (!name) return json(404, { error: { type: "not_found_error", message: `no ${path} here` } });
    const body = JSON.parse(raw);
    const question = asked(body);
    const id = ++served;
    if (log) appendFileSync(log, JSON.stringify({ t: Date.now(), path, model: body.model, prompt: question.prompt }) + "\n");
    const status = Number(control(question.prompt, "STATUS") ?? 200);
    if (status !== 200) {
        const error = { type: status === 429 ? "rate_limit_error" : "error", message: `refused with ${status}, as asked` };
        return json(status, { type: "error", error });
    }
    const reply = dialects[name](id, body.model, answer(id, question));
    const sleep = question.answered ? 0 : Number(control(question.prompt, "SLEEP")?.match(/^[\d.]+/)?.[0] ?? 0) * 1000;
    if (!body.stream) {
        await pause(sleep || DELAY_MS);
        return json(200, reply.whole);
    }
    const send = ([event, data]) => response.write(`${event ? `event: ${event}\n` : ""}data: ${JSON.stringify(data)}\n\n`);
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    reply.first.forEach(send);
    await pause(sleep || DELAY_MS);
    for (const event of reply.rest) {
        send(event);
        await pause(2);
    }
    response.end(reply.end ?? "");
}

const server = createServer((request, response) => {
    serve(request, response).catch((error) => {
        // A runtime that stops a turn hangs up in the middle.
        if (!response.headersSent) response.writeHead(500);
        response.end(String(error));
    });
});
server.listen(Number(port), "127.0.0.1", () => console.log(`listening ${server.address().port}`));
