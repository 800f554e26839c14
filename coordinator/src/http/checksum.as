// The inner loop of the checksum that protocol/src/checksum.ts defines, in SIMD, in AssemblyScript: the same bits.
// `npm run kernels` compiles this into checksum-wasm.ts.

/** Memory: one page that begins with the state, a_0…a_31 and b_0…b_31; one page of bytes to take in. */
const STATE_AT: usize = 0;
const SUMS_AT: usize = 128;
const INPUT_AT: usize = 65536;
const BLOCK_BYTES: usize = 128;

// @ts-ignore: decorator
@inline
function mixed(lanes: v128, at: usize): v128 {
  const product = i32x4.mul(v128.xor(lanes, v128.load(at)), i32x4.splat(<i32>0x9e3779b1));
  return v128.or(i32x4.shl(product, 13), i32x4.shr_u(product, 19));
}

/** Eight chains at once: one alone would wait for each product. */
export function absorb(bytes: i32): void {
  let a0 = v128.load(STATE_AT);
  let a1 = v128.load(STATE_AT + 16);
  let a2 = v128.load(STATE_AT + 32);
  let a3 = v128.load(STATE_AT + 48);
  let a4 = v128.load(STATE_AT + 64);
  let a5 = v128.load(STATE_AT + 80);
  let a6 = v128.load(STATE_AT + 96);
  let a7 = v128.load(STATE_AT + 112);
  let b0 = v128.load(SUMS_AT);
  let b1 = v128.load(SUMS_AT + 16);
  let b2 = v128.load(SUMS_AT + 32);
  let b3 = v128.load(SUMS_AT + 48);
  let b4 = v128.load(SUMS_AT + 64);
  let b5 = v128.load(SUMS_AT + 80);
  let b6 = v128.load(SUMS_AT + 96);
  let b7 = v128.load(SUMS_AT + 112);
  const end = INPUT_AT + <usize>bytes;
  for (let at = INPUT_AT; at < end; at += BLOCK_BYTES) {
    a0 = mixed(a0, at);
    a1 = mixed(a1, at + 16);
    a2 = mixed(a2, at + 32);
    a3 = mixed(a3, at + 48);
    a4 = mixed(a4, at + 64);
    a5 = mixed(a5, at + 80);
    a6 = mixed(a6, at + 96);
    a7 = mixed(a7, at + 112);
    b0 = i32x4.add(b0, a0);
    b1 = i32x4.add(b1, a1);
    b2 = i32x4.add(b2, a2);
    b3 = i32x4.add(b3, a3);
    b4 = i32x4.add(b4, a4);
    b5 = i32x4.add(b5, a5);
    b6 = i32x4.add(b6, a6);
    b7 = i32x4.add(b7, a7);
  }
  v128.store(STATE_AT, a0);
  v128.store(STATE_AT + 16, a1);
  v128.store(STATE_AT + 32, a2);
  v128.store(STATE_AT + 48, a3);
  v128.store(STATE_AT + 64, a4);
  v128.store(STATE_AT + 80, a5);
  v128.store(STATE_AT + 96, a6);
  v128.store(STATE_AT + 112, a7);
  v128.store(SUMS_AT, b0);
  v128.store(SUMS_AT + 16, b1);
  v128.store(SUMS_AT + 32, b2);
  v128.store(SUMS_AT + 48, b3);
  v128.store(SUMS_AT + 64, b4);
  v128.store(SUMS_AT + 80, b5);
  v128.store(SUMS_AT + 96, b6);
  v128.store(SUMS_AT + 112, b7);
}
