// The inner loop of the checksum that protocol/src/checksum.ts defines, in SIMD, in AssemblyScript: the same bits.
// `npm run kernels` compiles this into checksum-wasm.ts.

const BLOCK_BYTES: usize = 128;

// @ts-ignore: decorator
@inline
function mixed(lanes: v128, at: usize): v128 {
  const product = i32x4.mul(v128.xor(lanes, v128.load(at)), i32x4.splat(<i32>0x9e3779b1));
  return v128.or(i32x4.shl(product, 13), i32x4.shr_u(product, 19));
}

/**
 * Takes in so many bytes, whole blocks, from place `from` on; at `state` are a_0…a_31 and b_0…b_31. Eight chains at
 * once: one alone would wait for each product.
 */
export function absorb(state: usize, from: usize, bytes: usize): void {
  let a0 = v128.load(state);
  let a1 = v128.load(state, 16);
  let a2 = v128.load(state, 32);
  let a3 = v128.load(state, 48);
  let a4 = v128.load(state, 64);
  let a5 = v128.load(state, 80);
  let a6 = v128.load(state, 96);
  let a7 = v128.load(state, 112);
  let b0 = v128.load(state, 128);
  let b1 = v128.load(state, 144);
  let b2 = v128.load(state, 160);
  let b3 = v128.load(state, 176);
  let b4 = v128.load(state, 192);
  let b5 = v128.load(state, 208);
  let b6 = v128.load(state, 224);
  let b7 = v128.load(state, 240);
  const end = from + bytes;
  for (let at = from; at < end; at += BLOCK_BYTES) {
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
  v128.store(state, a0);
  v128.store(state, a1, 16);
  v128.store(state, a2, 32);
  v128.store(state, a3, 48);
  v128.store(state, a4, 64);
  v128.store(state, a5, 80);
  v128.store(state, a6, 96);
  v128.store(state, a7, 112);
  v128.store(state, b0, 128);
  v128.store(state, b1, 144);
  v128.store(state, b2, 160);
  v128.store(state, b3, 176);
  v128.store(state, b4, 192);
  v128.store(state, b5, 208);
  v128.store(state, b6, 224);
  v128.store(state, b7, 240);
}
