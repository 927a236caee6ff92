import { writeSync } from "node:fs";

import { ByteWriter } from "hyparquet-writer";

const FLUSH_BYTES = 1_048_576;

/** Gathers what is written and puts it into an open file, a mebibyte or more at a time. The file stays open. */
export class FileWriter extends ByteWriter {
  readonly #fd: number;

  constructor(fd: number) {
    super(2 * FLUSH_BYTES);
    this.#fd = fd;
  }

  /** @throws the error of the file system, such as ENOSPC. */
  override ensure(sizeBytes: number): void {
    if (this.index >= FLUSH_BYTES) {
      this.#flush();
    }
    super.ensure(sizeBytes);
  }

  override finish(): void {
    this.#flush();
  }

  #flush(): void {
    let written = 0;
    const bytes = this.getBytes();
    while (written < bytes.length) {
      // A disk that fills up takes a part first, and refuses the next write.
      written += writeSync(this.#fd, bytes, written);
    }
    this.index = 0;
  }
}
