// The reference protocol on Bun, as short as it goes: setup, subscribe, publish, with duplicates by
// messageId for each user and one order for each topic.
//
//   bun gateway.js loop PORT     every message is sent to each subscriber's socket
//   bun gateway.js native PORT   Bun's own topics deliver

const [mode, port] = process.argv.slice(2);
const topics = new Map(); // name -> { seqNo, sockets }
const published = new Map(); // user -> Set of messageId, without bound as in the reference

function topicOf(name) {
  let topic = topics.get(name);
  if (!topic) topics.set(name, (topic = { seqNo: 0, sockets: new Set() }));
  return topic;
}

function subscribe(ws, name) {
  const topic = topicOf(name);
  if (mode === "native") ws.subscribe(name);
  else topic.sockets.add(ws);
  ws.data.topics.add(name);
  ws.send(JSON.stringify({ type: "subscribed", topic: name }));
}

function unsubscribe(ws, name) {
  if (mode === "native") ws.unsubscribe(name);
  else topics.get(name)?.sockets.delete(ws);
  ws.data.topics.delete(name);
}

function publish(ws, { topic: name, messageId, payload }) {
  const ids = published.get(ws.data.user);
  if (ids.has(messageId)) {
    ws.send(JSON.stringify({ type: "ack", messageId, status: "duplicate" }));
    return;
  }
  ids.add(messageId);
  const topic = topicOf(name);
  topic.seqNo += 1;
  const text = JSON.stringify({ type: "message", topic: name, seqNo: topic.seqNo, messageId, data: payload });
  if (mode === "native") server.publish(name, text);
  else for (const socket of topic.sockets) socket.send(text);
  ws.send(JSON.stringify({ type: "ack", messageId, status: "ok" }));
}

function fail(ws, code, message) {
  ws.send(JSON.stringify({ type: "error", code, message }));
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  fetch(request, server) {
    if (server.upgrade(request, { data: { user: "", topics: new Set() } })) return;
    return new Response("a WebSocket is expected", { status: 400 });
  },
  websocket: {
    idleTimeout: 960,
    sendPings: false,
    message(ws, text) {
      const frame = JSON.parse(text);
      if (frame.type === "setup") {
        if (!frame.token) return fail(ws, "AUTH_FAILED", "the token is empty");
        ws.data.user = frame.token;
        if (!published.has(frame.token)) published.set(frame.token, new Set());
        for (const topic of frame.topics ?? []) subscribe(ws, topic);
        ws.send(JSON.stringify({ type: "ready", sessionId: crypto.randomUUID() }));
      } else if (!ws.data.user) fail(ws, "AUTH_REQUIRED", "setup comes first");
      else if (frame.type === "publish") publish(ws, frame);
      else if (frame.type === "subscribe") subscribe(ws, frame.topic);
      else if (frame.type === "unsubscribe") {
        unsubscribe(ws, frame.topic);
        ws.send(JSON.stringify({ type: "unsubscribed", topic: frame.topic }));
      } else fail(ws, "BAD_REQUEST", "unknown type");
    },
    close(ws) {
      if (mode === "loop") for (const name of ws.data.topics) topics.get(name)?.sockets.delete(ws);
    },
  },
});
