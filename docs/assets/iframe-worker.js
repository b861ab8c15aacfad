// A browser starts no worker from a file: run the search's in a hidden frame there, so that the site works from a disk.
window.IFrameWorker = class extends EventTarget {
  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    document.body.append(frame);
    const inner = this.inner = frame.contentWindow;
    const load = (source) => new Promise((done, failed) => {
      const script = inner.document.createElement("script");
      Object.assign(script, { src: source, onload: done, onerror: failed });
      inner.document.body.append(script);
    });
    inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    inner.importScripts = (...urls) => urls.reduce((before, source) => before.then(() => load(source)), Promise.resolve());
    this.loaded = load(url);
  }

  postMessage(data) {
    this.loaded.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })));
  }

  terminate() {}
};
if (location.protocol === "file:") window.Worker = window.IFrameWorker;
