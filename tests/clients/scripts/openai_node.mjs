// openai-node and @openai/agents with nothing changed but the address.
import assert from "node:assert";
import OpenAI, { toFile } from "openai";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from "@openai/agents/realtime";

const url = process.argv[2];
const client = new OpenAI({ apiKey: "none", baseURL: url, maxRetries: 0 });
const asked = { model: "gpt-4o-mini-tts", voice: "coral", input: "one two three four five" };

const mp3 = await client.audio.speech.create(asked);
assert((await mp3.arrayBuffer()).byteLength > 4000);
const streamed = await client.audio.speech.create({ ...asked, response_format: "pcm" });
let bytes = 0;
for await (const piece of streamed.body) bytes += piece.length;
assert.equal(bytes, 48000);
const sse = await client.audio.speech.create({ ...asked, stream_format: "sse" });
assert((await sse.text()).includes("speech.audio.done"));

const wav = Buffer.alloc(44 + 48000);
wav.write("RIFF", 0); wav.writeUInt32LE(48036, 4); wav.write("WAVEfmt ", 8);
wav.writeUInt32LE(16, 16); wav.writeUInt16LE(1, 20); wav.writeUInt16LE(1, 22);
wav.writeUInt32LE(24000, 24); wav.writeUInt32LE(48000, 28); wav.writeUInt16LE(2, 32);
wav.writeUInt16LE(16, 34); wav.write("data", 36); wav.writeUInt32LE(48000, 40);
for (let i = 0; i < 24000; i++) wav.writeInt16LE(Math.round(8000 * Math.sin(i / 10)), 44 + 2 * i);
const sound = () => toFile(wav, "sound.wav");
const heard = await client.audio.transcriptions.create({ model: "whisper-1", file: await sound() });
assert.equal(heard.text, "hello there my friend");
const events = await client.audio.transcriptions.create({
  model: "gpt-4o-transcribe", file: await sound(), stream: true,
});
let last;
for await (const event of events) last = event;
assert.equal(last.type, "transcript.text.done");
const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert(models.includes("repartee"));
console.log("openai-node ok");

const agent = new RealtimeAgent({ name: "A", instructions: "Answer briefly.", voice: "alloy" });
const transport = new OpenAIRealtimeWebSocket({ url: url.replace("http", "ws") + "/realtime?model=x" });
const session = new RealtimeSession(agent, { transport });
const failed = [];
session.on("error", (error) => failed.push(JSON.stringify(error)));
let audio = 0;
session.on("audio", (event) => (audio += event.data.byteLength));
await session.connect({ apiKey: "none" });
const done = new Promise((resolve) => session.on("agent_end", resolve));
session.sendMessage("Tell me about trains.");
await Promise.race([done, new Promise((_, no) => setTimeout(() => no(new Error("no answer: " + failed)), 15000))]);
assert(audio > 10000, `${audio} bytes of sound`);
assert.deepEqual(failed, []);
session.close();
console.log("agents ok");
process.exit(0);
