import { open } from "node:fs/promises";

const CHUNK_BYTES = 262_144;

/**
 * The content of a file. Leaving the loop closes the file.
 *
 * @param onRead called with the number of bytes read so far.
 */
export async function* fileChunks(path: string, onRead = (_bytes: number): void => {}): AsyncGenerator<Buffer> {
  await using file = await open(path);
  for (let position = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, position);
    if (bytesRead === 0) {
      return;
    }
    position += bytesRead;
    onRead(position);
    yield buffer.subarray(0, bytesRead);
  }
}
