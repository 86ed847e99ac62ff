// A page that plays what it is told to, and says how that went. It stands on an origin of its own and has no token.

const told = { events: [] };
const film = document.createElement("video");
film.muted = true;
film.defaultPlaybackRate = 2; // nobody watches
film.crossOrigin = "anonymous";
document.body.append(film);
for (const name of ["loadedmetadata", "playing", "ended", "error"]) {
  film.addEventListener(name, () => told.events.push(name));
}

/** What is known of the player now. */
window.state = () => ({
  ...told,
  duration: film.duration,
  at: film.currentTime,
  sides: [film.videoWidth, film.videoHeight],
  ended: film.ended,
  from: film.buffered.length ? film.buffered.start(0) : null,
  to: film.buffered.length ? film.buffered.end(film.buffered.length - 1) : null,
  pieces: film.buffered.length,
  error: film.error && `${film.error.code} ${film.error.message}`,
});

/** Plays what the browser itself understands. */
window.play = (address) => {
  film.src = address;
  film.play().catch((error) => told.events.push(`refused ${error}`));
};

/** Plays a ladder's film by its place in the master playlist through Media Source Extensions, as hls.js does. */
window.stream = async (address, place) => {
  try {
    const master = await lines(address);
    const films = master.flatMap((line, number) => (line.startsWith("#EXT-X-STREAM-INF") ? [number] : []));
    const kinds = /CODECS="(.+?)"/.exec(master[films[place]])[1];
    const there = new URL(master[films[place] + 1], address).href;
    const source = new MediaSource();
    film.src = URL.createObjectURL(source);
    await heard(source, "sourceopen");
    const buffer = source.addSourceBuffer(`video/mp4; codecs="${kinds}"`);
    for (const piece of pieces(await lines(there), there)) {
      buffer.appendBuffer(await bytes(piece));
      await heard(buffer, "updateend");
    }
    source.endOfStream();
    await film.play();
  } catch (error) {
    told.events.push(`refused ${error}`);
  }
};

const heard = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));

async function lines(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${answer.status} for ${address}`);
  return (await answer.text()).split("\n");
}

/** The head of the film and its segments: where each is, and which of its bytes. */
function pieces(playlist, address) {
  const found = [];
  let range = null;
  for (const line of playlist) {
    const head = /^#EXT-X-MAP:URI="(.+?)",BYTERANGE="(\d+)@(\d+)"/.exec(line);
    if (head) found.push({ address: new URL(head[1], address).href, range: head.slice(2).map(Number) });
    const next = /^#EXT-X-BYTERANGE:(\d+)@(\d+)/.exec(line);
    if (next) range = next.slice(1).map(Number);
    if (line && !line.startsWith("#")) found.push({ address: new URL(line, address).href, range });
  }
  return found;
}

async function bytes({ address, range: [length, start] }) {
  const answer = await fetch(address, { headers: { Range: `bytes=${start}-${start + length - 1}` } });
  if (answer.status !== 206) throw new Error(`${answer.status} for ${address}`);
  return answer.arrayBuffer();
}
