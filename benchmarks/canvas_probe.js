// Stamps of raw pointer events until the frame that painted them is over, and the gaps between frames.
{
  let waits = [];
  let frames = [];
  let painted = 0; // frames that painted something
  let pending = [];
  let running = false;
  let last = 0;
  const channel = new MessageChannel(); // its messages come after the frame's scripts, style, layout and paint
  channel.port1.onmessage = () => {
    const now = performance.now();
    for (const stamp of pending) waits.push(now - stamp);
    painted += 1;
    pending = [];
  };
  addEventListener(
    "pointermove",
    (event) => {
      if (!running) return;
      if (!pending.length) requestAnimationFrame(() => channel.port2.postMessage(null));
      const raw = event.getCoalescedEvents();
      for (const { timeStamp } of raw.length ? raw : [event]) pending.push(timeStamp);
    },
    { capture: true },
  );
  const count = (now) => {
    if (!running) return;
    if (last && pending.length) frames.push(now - last);
    last = now;
    requestAnimationFrame(count);
  };
  window.probe = {
    start() {
      [waits, frames, pending, painted, last, running] = [[], [], [], 0, 0, true];
      requestAnimationFrame(count);
    },
    stop() {
      running = false;
      return { waits, frames, painted };
    },
  };
}
