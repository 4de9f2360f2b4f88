// Prints the age test kit (npm cctv-age) as one JSON object: name of the vector -> base64.
import * as vectors from "cctv-age"

const entries = Object.entries(vectors).map(([name, data]) => [name, Buffer.from(data).toString("base64")])
process.stdout.write(JSON.stringify(Object.fromEntries(entries)))
