/** Sections that come to nothing, each in its way. */

switch (process.argv[2]) {
  case "throws":
    throw new RangeError("no such thing");
  case "is killed":
    process.kill(process.pid, "SIGKILL");
    break;
  case "says nothing":
    process.exit(3);
    break;
  case "hangs":
    setInterval(() => {}, 1_000);
    break;
  default:
    process.send({ rows: [{ name: process.argv[3], values: { ms: 1 } }] });
}
