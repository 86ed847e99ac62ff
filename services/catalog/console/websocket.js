// The page that shows what a WebSocket says.

import { byId } from "./elements.js";
import { MessageLog } from "./message_log.js";
import { addressOf, Socket } from "./socket.js";
import { mountToken } from "./token.js";

const form = byId("connection");
const log = new MessageLog({ list: byId("log"), types: byId("type"), count: byId("count") });
let socket = null;

function state(name, text) {
  byId("lamp").dataset.state = name;
  byId("state").textContent = text;
  byId("connect").disabled = name !== "off";
  byId("disconnect").disabled = name === "off";
}

function connect() {
  socket?.close();
  try {
    const url = addressOf(form.elements.address.value);
    socket = new Socket(url, { state, message: (text) => log.add(text), again: () => form.elements.reconnect.checked });
  } catch (error) {
    socket = null;
    state("off", error.message);
  }
}

mountToken(byId("token-form"), {
  hint: "Without a token: what the address tells everybody.",
  changed: () => {
    if (byId("connect").disabled) connect(); // as somebody else
  },
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (byId("connect").disabled) return;
  connect();
  byId("disconnect").focus(); // the button that had it is disabled
});
byId("disconnect").addEventListener("click", () => {
  socket?.close();
  byId("connect").focus();
});
byId("clear").addEventListener("click", () => log.clear());
