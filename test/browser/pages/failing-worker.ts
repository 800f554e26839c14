/** A Worker that throws whatever it is told to. */

self.onmessage = ({ data }: MessageEvent<string>) => {
  throw new Error(data);
};
