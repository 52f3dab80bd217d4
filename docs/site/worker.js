// A page opened from the file system may start no worker: the search runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.loaded = new Promise((resolve) => {
        document.body.append(frame);
        const inside = frame.contentWindow;
        inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        inside.importScripts = (...urls) => urls.reduce((last, src) => last.then(() => load(src)), Promise.resolve());
        const load = (src) => new Promise((done) => {
          const script = inside.document.createElement("script");
          Object.assign(script, { src, onload: done, onerror: done });
          inside.document.head.append(script);
        });
        load(new URL(url, location)).then(() => resolve(inside));
      });
    }

    postMessage(data) {
      this.loaded.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {}
  };
}
