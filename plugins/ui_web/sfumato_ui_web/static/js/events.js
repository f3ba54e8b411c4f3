/**
 * What happens to jobs, as it happens: one WebSocket for all that a page shows, or server-sent events where
 * there is none. After a lost connection it goes on with the event after the last one seen.
 */

const SOCKET = "/api/v1/events/socket";
const STREAM = "/api/v1/events?named=false"; // named events come to no "message" listener
const LONGEST_WAIT = 15000;
const SOCKET_TRIES = 3;

/** @type {Map<string, Set<(event: any) => void>>} */
const listeners = new Map();
const onceAgain = new Set();
const onState = new Set();
let last = /** @type {number | null} */ (null);
let started = false;
let connected = false;
let everConnected = false;
let failures = 0;
let socketWorked = false;

/**
 * Listen to events of a kind, or to all ("*").
 * @param {string} kind @param {(event: {seq: number, job: string, user: string, at: string, kind: string, data: any}) => void} handler
 * @returns {() => void} Ends it.
 */
export function onEvent(kind, handler) {
  if (!listeners.has(kind)) listeners.set(kind, new Set());
  listeners.get(kind).add(handler);
  start();
  return () => listeners.get(kind).delete(handler);
}

/** Call `handler` when a lost connection is back: what is shown may be out of date. Returns what ends it. */
export function onReconnect(handler) {
  onceAgain.add(handler);
  start();
  return () => onceAgain.delete(handler);
}

/** Call `handler(connected)` whenever the connection is lost or back. Returns what ends it. */
export function onConnection(handler) {
  onState.add(handler);
  start();
  return () => onState.delete(handler);
}

/** Whether events arrive now. */
export function isConnected() {
  return connected;
}

function start() {
  if (started) return;
  started = true;
  connect();
}

function connect() {
  if ("WebSocket" in window && (socketWorked || failures < SOCKET_TRIES)) connectSocket();
  else connectStream();
}

function connectSocket() {
  const url = new URL(SOCKET, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  socket.addEventListener("open", () => {
    socketWorked = true;
    socket.send(JSON.stringify(last === null ? {} : { after: last }));
    tellConnected();
  });
  socket.addEventListener("message", (message) => receive(message.data));
  socket.addEventListener("close", lost);
}

function connectStream() {
  const source = new EventSource(last === null ? STREAM : `${STREAM}&after=${last}`);
  source.addEventListener("open", tellConnected);
  source.addEventListener("message", (message) => receive(message.data));
  source.addEventListener("error", () => {
    source.close();
    lost();
  });
}

function tellConnected() {
  failures = 0;
  if (connected) return;
  connected = true;
  for (const handler of onState) handler(true);
  if (everConnected) for (const handler of onceAgain) handler();
  everConnected = true;
}

function lost() {
  failures += 1;
  if (connected || failures === 2) for (const handler of onState) handler(false);
  connected = false;
  const patience = Math.min(LONGEST_WAIT, 300 * 2 ** failures);
  setTimeout(connect, patience * (0.75 + Math.random() / 2));
}

function receive(text) {
  let event;
  try {
    event = JSON.parse(text);
  } catch {
    return;
  }
  if (typeof event?.seq !== "number" || !event.kind) return;
  if (last !== null && event.seq <= last) return;
  last = event.seq;
  if (event.kind === "connected") return; // only tells where the events begin
  for (const kind of [event.kind, "*"]) {
    for (const handler of listeners.get(kind) ?? []) {
      try {
        handler(event);
      } catch (error) {
        console.error(error);
      }
    }
  }
}

// A page that was put aside and is shown again (back button) or a laptop that wakes up.
addEventListener("pageshow", (event) => event.persisted && started && !connected && connect());
