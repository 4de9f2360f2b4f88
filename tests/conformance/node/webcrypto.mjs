// Node 18, which Debian 12 has, gives Web Crypto no global name yet, and warns on standard error that
// its X25519 is experimental. age-encryption looks for the name when it is loaded, so this file is
// imported before it.
import { webcrypto } from "node:crypto"

if (!globalThis.crypto) {
    globalThis.crypto = webcrypto
    process.removeAllListeners("warning")
}
