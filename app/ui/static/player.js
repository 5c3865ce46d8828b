// Creates the loudspeaker's audio node. Over plain HTTP there are no worklets; the same processor
// then runs in the page's main thread, so that typed conversations still have audio.
export async function openPlayer(context) {
  const program = new URL('playback-worklet.js', import.meta.url);
  if (context.audioWorklet) {
    await context.audioWorklet.addModule(program);
    return new AudioWorkletNode(context, 'repartee-playback', { outputChannelCount: [1] });
  }
  const Processor = await processorOf(program, context);
  const node = context.createScriptProcessor(2048, 0, 1);
  const processor = new Processor();
  node.onaudioprocess = ({ outputBuffer }) => {
    const out = outputBuffer.getChannelData(0);
    out.fill(0);
    processor.process([], [[out]]);
  };
  node.port = processor.other;
  return node;
}

// Loads a worklet module outside a worklet, and returns the class it registers.
async function processorOf(program, context) {
  let registered = null;
  globalThis.AudioWorkletProcessor = class {
    constructor() {
      const { port1, port2 } = new MessageChannel();
      this.port = port1;
      this.other = port2;
    }
  };
  globalThis.registerProcessor = (_, kind) => (registered = kind);
  globalThis.sampleRate = context.sampleRate;
  Object.defineProperty(globalThis, 'currentTime', { get: () => context.currentTime });
  await import(program);
  return registered;
}
