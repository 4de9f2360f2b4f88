// A small age command over npm age-encryption: an age that is not ours, for tests and drills.
//
//   node age.mjs -d -i IDENTITY... [FILE]      decrypt (binary or armored) to standard output
//   node age.mjs -d -p [FILE]                  decrypt with the passphrase in AGE_PASSPHRASE
//   node age.mjs -e [-a] -r RECIPIENT... [FILE]
//   node age.mjs -e [-a] -p [FILE]             (AGE_WORK_FACTOR: base-two logarithm, default 18)
//
// FILE is "-" or absent for standard input. An identity file has one identity a line; blank lines
// and lines that begin with "#" are skipped; it may itself be an age file under AGE_PASSPHRASE.
// Exit codes: 0, or 1 with one line on standard error. What was decrypted before an error was found
// is on standard output by then, as with every age.

import "./webcrypto.mjs"

import { createReadStream, readFileSync } from "node:fs"
import { Readable, Writable } from "node:stream"
import { parseArgs } from "node:util"
import { Decrypter, Encrypter, armor } from "age-encryption"

const BEGIN = "-----BEGIN AGE ENCRYPTED FILE-----"

function passphrase() {
    const value = process.env.AGE_PASSPHRASE
    if (!value) throw new Error("AGE_PASSPHRASE is not set")
    return value
}

/** The first bytes of a stream, and the whole stream again. */
async function peek(stream) {
    const [look, whole] = stream.tee()
    const reader = look.getReader()
    let start = Buffer.alloc(0)
    while (start.length < 1100) {
        const { done, value } = await reader.read()
        if (done) break
        start = Buffer.concat([start, value])
    }
    // Not awaited: one branch of a tee is only done with once the other is.
    reader.cancel().catch(() => {})
    return [start, whole]
}

async function readAll(stream) {
    return new Uint8Array(await new Response(stream).arrayBuffer())
}

/** The binary age file in a stream that may be armored. */
async function dearmored(stream) {
    const [start, whole] = await peek(stream)
    if (!start.toString("latin1").trimStart().startsWith(BEGIN)) return whole
    const text = Buffer.from(await readAll(whole)).toString("latin1")
    return new Response(armor.decode(text)).body
}

async function identityLines(path) {
    let data = readFileSync(path)
    const text = data.toString("latin1").trimStart()
    if (text.startsWith("age-encryption.org/") || text.startsWith(BEGIN)) {
        const decrypter = new Decrypter()
        decrypter.addPassphrase(passphrase())
        const binary = await dearmored(new Response(data).body)
        data = Buffer.from(await decrypter.decrypt(await readAll(binary)))
    }
    const lines = data.toString("utf8").split("\n").map((line) => line.trim())
    return lines.filter((line) => line && !line.startsWith("#"))
}

async function decrypt(options, input) {
    const decrypter = new Decrypter()
    if (options.passphrase) decrypter.addPassphrase(passphrase())
    for (const path of options.identity ?? []) {
        for (const line of await identityLines(path)) decrypter.addIdentity(line)
    }
    return decrypter.decrypt(await dearmored(input))
}

async function encrypt(options, input) {
    const encrypter = new Encrypter()
    if (options.passphrase) {
        encrypter.setPassphrase(passphrase())
        encrypter.setScryptWorkFactor(Number(process.env.AGE_WORK_FACTOR ?? "18"))
    }
    for (const recipient of options.recipient ?? []) encrypter.addRecipient(recipient)
    const output = await encrypter.encrypt(input)
    if (!options.armor) return output
    return new Response(armor.encode(await readAll(output))).body
}

try {
    const { values, positionals } = parseArgs({
        allowPositionals: true,
        options: {
            decrypt: { type: "boolean", short: "d" },
            encrypt: { type: "boolean", short: "e" },
            armor: { type: "boolean", short: "a" },
            passphrase: { type: "boolean", short: "p" },
            identity: { type: "string", short: "i", multiple: true },
            recipient: { type: "string", short: "r", multiple: true },
        },
    })
    if (!values.decrypt === !values.encrypt || positionals.length > 1) {
        throw new Error("usage: age.mjs -d (-i IDENTITY... | -p) | -e [-a] (-r RECIPIENT... | -p) [FILE]")
    }
    const [file] = positionals
    const source = file === undefined || file === "-" ? process.stdin : createReadStream(file)
    const input = Readable.toWeb(source)
    const output = await (values.decrypt ? decrypt(values, input) : encrypt(values, input))
    await output.pipeTo(Writable.toWeb(process.stdout))
} catch (error) {
    console.error(`age.mjs: ${error.message}`)
    process.exitCode = 1
}
