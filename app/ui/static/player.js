// The loudspeaker's node. A page over plain HTTP has no worklets: there the same processor runs in
// the page's own thread, so that a typed conversation is heard all the same.
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

// The class that a worklet's module registers, with a worklet's surroundings around it.
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
