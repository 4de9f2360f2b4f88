// Verify checks the log of an evidence vault with none of the vault's own code: the signed notes and
// the Merkle tree of golang.org/x/mod/sumdb, and ML-DSA from the standard library.
//
//	verify LOG VKEYS [CHECKPOINT...]
//
// LOG is a vault's log directory. VKEYS is a file of verifier keys, one a line, in pairs: an Ed25519
// key (type 0x01), then the ML-DSA-44 key (type 0x06) of the same person, both named by the log's
// origin. Each CHECKPOINT is an older checkpoint of the same log, kept elsewhere.
//
// It prints what it counted, or one sentence about the first problem on standard error and exits 1.
package main

import (
	"bytes"
	"crypto/mldsa"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height    = 8
	tileWidth = 1 << height

	// Consistency is checked between all pairs of sizes of a log up to this size. For a larger one,
	// each sampled size is compared with the next sampled size and with the whole log.
	allPairs = 512
	// Up to this size every size is sampled.
	allSizes = 4096
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: verify LOG VKEYS [CHECKPOINT...]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(log, vkeys string, older []string) error {
	keys, err := readKeys(vkeys)
	if err != nil {
		return err
	}
	head, err := keys.openFile(filepath.Join(log, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := readEntries(log, head.size)
	if err != nil {
		return err
	}
	root, err := tree.root(head.size)
	if err != nil {
		return err
	}
	if root != head.root {
		return fmt.Errorf("checkpoint: the entries have root %v, not the signed %v", root, head.root)
	}
	tiles, bundles, superseded, others, err := tree.checkFiles(log)
	if err != nil {
		return err
	}
	inclusions, consistencies, err := tree.checkProofs(log, head)
	if err != nil {
		return err
	}
	for _, path := range older {
		if err := tree.checkOlder(keys, path, head); err != nil {
			return err
		}
	}
	fmt.Printf("size %d\n", head.size)
	fmt.Printf("signatures %d\n", 2*(1+len(older)))
	fmt.Printf("tiles %d\n", tiles)
	fmt.Printf("bundles %d\n", bundles)
	fmt.Printf("superseded %d\n", superseded)
	fmt.Printf("others %d\n", others)
	fmt.Printf("inclusions %d\n", inclusions)
	fmt.Printf("consistencies %d\n", consistencies)
	fmt.Printf("older %d\n", len(older))
	return nil
}

// A checkpoint is a signed tree head.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

// parseCheckpoint reads the three lines of a checkpoint without extensions.
func parseCheckpoint(text string) (*checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return nil, errors.New("not three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return nil, fmt.Errorf("tree size %q", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return nil, fmt.Errorf("root %q", lines[2])
	}
	return &checkpoint{origin: lines[0], size: size, root: tlog.Hash(root)}, nil
}

// --- signatures -------------------------------------------------------------------------------

// A pair holds the two verifiers of one person.
type pair struct {
	ed25519, mldsa note.Verifier
}

type keyring []pair

func readKeys(path string) (keyring, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var verifiers []note.Verifier
	for i, vkey := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		verifier, err := newVerifier(vkey, i%2 == 1)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %v", path, i+1, err)
		}
		verifiers = append(verifiers, verifier)
	}
	if len(verifiers)%2 != 0 {
		return nil, fmt.Errorf("%s: an odd number of keys", path)
	}
	var keys keyring
	for i := 0; i < len(verifiers); i += 2 {
		keys = append(keys, pair{verifiers[i], verifiers[i+1]})
	}
	return keys, nil
}

func newVerifier(vkey string, wantMLDSA bool) (note.Verifier, error) {
	if !wantMLDSA {
		return note.NewVerifier(vkey) // Ed25519 is the only type it knows
	}
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a verifier key")
	}
	id, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil || len(parts[1]) != 8 {
		return nil, errors.New("not a key id")
	}
	material, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(material) == 0 || material[0] != 0x06 {
		return nil, errors.New("not an ML-DSA-44 key")
	}
	public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), material[1:])
	if err != nil {
		return nil, err
	}
	return &mldsaVerifier{name: parts[0], id: uint32(id), public: public}, nil
}

// An mldsaVerifier verifies the ML-DSA-44 signature of C2SP tlog-cosignature over a checkpoint that
// its own log signed, with timestamp zero. It implements note.Verifier.
type mldsaVerifier struct {
	name   string
	id     uint32
	public *mldsa.PublicKey
}

func (v *mldsaVerifier) Name() string    { return v.name }
func (v *mldsaVerifier) KeyHash() uint32 { return v.id }

func (v *mldsaVerifier) Verify(text, signature []byte) bool {
	head, err := parseCheckpoint(string(text))
	if err != nil || len(signature) < 8 || len(v.name) > 255 || len(head.origin) > 255 {
		return false
	}
	timestamp := binary.BigEndian.Uint64(signature)
	if timestamp != 0 {
		return false
	}
	message := []byte("subtree/v1\n\x00")
	message = append(message, byte(len(v.name)))
	message = append(message, v.name...)
	message = binary.BigEndian.AppendUint64(message, timestamp)
	message = append(message, byte(len(head.origin)))
	message = append(message, head.origin...)
	message = binary.BigEndian.AppendUint64(message, 0)
	message = binary.BigEndian.AppendUint64(message, uint64(head.size))
	message = append(message, head.root[:]...)
	return mldsa.Verify(v.public, message, signature[8:], nil) == nil
}

func (keys keyring) openFile(path string) (*checkpoint, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	head, err := keys.open(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", path, err)
	}
	return head, nil
}

// open returns the checkpoint if one of the pairs of keys signed it.
func (keys keyring) open(data []byte) (*checkpoint, error) {
	var problem error
	for _, key := range keys {
		head, err := key.open(data)
		if err == nil {
			return head, nil
		}
		// A bad signature by one pair says more than that another pair did not sign.
		var unverified *note.UnverifiedNoteError
		if problem == nil || errors.As(problem, &unverified) {
			problem = err
		}
	}
	return nil, problem
}

// open returns the checkpoint if it has exactly the two signature lines of this pair.
func (key pair) open(data []byte) (*checkpoint, error) {
	n, err := note.Open(data, note.VerifierList(key.ed25519, key.mldsa))
	if err != nil {
		return nil, err
	}
	// Open leaves repeated signature lines out: count them in the bytes.
	lines := bytes.Count(data[bytes.LastIndex(data, []byte("\n\n"))+2:], []byte("\n"))
	if lines != 2 || len(n.Sigs) != 2 ||
		n.Sigs[0].Hash != key.ed25519.KeyHash() || n.Sigs[1].Hash != key.mldsa.KeyHash() {
		return nil, errors.New("not exactly one Ed25519 and then one ML-DSA-44 signature by one person")
	}
	head, err := parseCheckpoint(n.Text)
	if err != nil {
		return nil, err
	}
	if head.origin != key.ed25519.Name() || head.origin != key.mldsa.Name() {
		return nil, fmt.Errorf("signed under a name that is not the origin %q", head.origin)
	}
	return head, nil
}

// --- the tree ---------------------------------------------------------------------------------

// A tree keeps every hash in sumdb's storage order, all computed from the entries, and the entry
// bundles as they were read.
type tree struct {
	size    int64
	stored  []tlog.Hash
	bundles map[string][]byte
}

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(t.stored)) {
			return nil, fmt.Errorf("hash %d of %d was asked for", index, len(t.stored))
		}
		hashes[i] = t.stored[index]
	}
	return hashes, nil
}

func (t *tree) root(size int64) (tlog.Hash, error) { return tlog.TreeHash(size, t) }

func (t *tree) leaf(index int64) tlog.Hash { return t.stored[tlog.StoredHashIndex(0, index)] }

// vaultPath turns sumdb's path of a tile, tile/8/<L>/<N> or tile/8/data/<N>, into that of
// tlog-tiles, tile/<L>/<N> or tile/entries/<N>.
func vaultPath(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), "tile/8/")
	if rest, ok := strings.CutPrefix(path, "data/"); ok {
		path = "entries/" + rest
	}
	return "tile/" + path
}

// parsePath is the inverse of vaultPath.
func parsePath(path string) (tlog.Tile, bool) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok {
		return tlog.Tile{}, false
	}
	if entries, ok := strings.CutPrefix(rest, "entries/"); ok {
		rest = "data/" + entries
	}
	tile, err := tlog.ParseTilePath("tile/8/" + rest)
	return tile, err == nil && vaultPath(tile) == path
}

// widest returns the width that tile has in a tree of this size, 0 if it has no such tile.
func widest(tile tlog.Tile, size int64) int {
	n := size >> (height * max(tile.L, 0))
	return int(min(max(n-tile.N<<height, 0), tileWidth))
}

func readEntries(log string, size int64) (*tree, error) {
	t := &tree{bundles: make(map[string][]byte)}
	for t.size < size {
		tile := tlog.Tile{H: height, L: -1, N: t.size >> height}
		tile.W = widest(tile, size)
		path := vaultPath(tile)
		data, err := os.ReadFile(filepath.Join(log, filepath.FromSlash(path)))
		if err != nil {
			return nil, err
		}
		entries, err := parseBundle(data, tile.W)
		if err != nil {
			return nil, fmt.Errorf("%s: %v", path, err)
		}
		for _, entry := range entries {
			hashes, err := tlog.StoredHashes(t.size, entry, t)
			if err != nil {
				return nil, err
			}
			t.stored = append(t.stored, hashes...)
			t.size++
		}
		t.bundles[path] = data
	}
	return t, nil
}

// parseBundle cuts a bundle into exactly width entries.
func parseBundle(data []byte, width int) ([][]byte, error) {
	var entries [][]byte
	for len(entries) < width {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("cut short in entry %d of %d", len(entries), width)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:end])
		data = data[end:]
	}
	if len(data) != 0 {
		return nil, fmt.Errorf("%d bytes after entry %d", len(data), width)
	}
	return entries, nil
}

// checkFiles compares every tile of the tree with the hashes of the entries, then every other tile
// that lies there and belongs to a smaller tree: it must be a beginning of the wider one.
func (t *tree) checkFiles(log string) (tiles, bundles, superseded, others int, err error) {
	wanted := make(map[string]bool)
	for level := 0; t.size>>(height*level) > 0; level++ {
		for n := int64(0); ; n++ {
			tile := tlog.Tile{H: height, L: level, N: n}
			if tile.W = widest(tile, t.size); tile.W == 0 {
				break
			}
			if err := t.checkTile(log, tile); err != nil {
				return 0, 0, 0, 0, err
			}
			wanted[vaultPath(tile)] = true
			tiles++
		}
	}
	err = filepath.WalkDir(log, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(log, name)
		if err != nil {
			return err
		}
		path := filepath.ToSlash(relative)
		if wanted[path] || t.bundles[path] != nil || path == "checkpoint" {
			return nil
		}
		tile, ok := parsePath(path)
		if !ok || tile.W > widest(tile, t.size) {
			others++
			return nil
		}
		superseded++
		if tile.L >= 0 {
			return t.checkTile(log, tile)
		}
		return t.checkBundle(log, tile)
	})
	return tiles, len(t.bundles), superseded, others, err
}

func (t *tree) checkTile(log string, tile tlog.Tile) error {
	path := vaultPath(tile)
	found, err := os.ReadFile(filepath.Join(log, filepath.FromSlash(path)))
	if err != nil {
		return err
	}
	want, err := tlog.ReadTileData(tile, t)
	if err != nil {
		return err
	}
	if !bytes.Equal(found, want) {
		return fmt.Errorf("%s: not the hashes of the entries", path)
	}
	return nil
}

func (t *tree) checkBundle(log string, tile tlog.Tile) error {
	path := vaultPath(tile)
	found, err := os.ReadFile(filepath.Join(log, filepath.FromSlash(path)))
	if err != nil {
		return err
	}
	if _, err := parseBundle(found, tile.W); err != nil {
		return fmt.Errorf("%s: %v", path, err)
	}
	tile.W = widest(tile, t.size)
	if !bytes.HasPrefix(t.bundles[vaultPath(tile)], found) {
		return fmt.Errorf("%s: not the beginning of the wider bundle", path)
	}
	return nil
}

// --- proofs -----------------------------------------------------------------------------------

// A tileReader gives sumdb the tiles as they are on disk.
type tileReader struct {
	log   string
	cache map[string][]byte
}

func (r *tileReader) Height() int                             { return height }
func (r *tileReader) SaveTiles(tiles []tlog.Tile, _ [][]byte) {}

func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := vaultPath(tile)
		if r.cache[path] == nil {
			data, err := os.ReadFile(filepath.Join(r.log, filepath.FromSlash(path)))
			if err != nil {
				return nil, err
			}
			r.cache[path] = data
		}
		all = append(all, r.cache[path])
	}
	return all, nil
}

// checkProofs makes proofs from the tiles and checks them against the signed root: inclusion of
// every entry, and consistency from every (sampled) size.
func (t *tree) checkProofs(log string, head *checkpoint) (inclusions, consistencies int, err error) {
	if head.size == 0 {
		return 0, 0, nil
	}
	reader := tlog.TileHashReader(
		tlog.Tree{N: head.size, Hash: head.root},
		&tileReader{log: log, cache: make(map[string][]byte)},
	)
	for index := int64(0); index < head.size; index++ {
		proof, err := tlog.ProveRecord(head.size, index, reader)
		if err == nil {
			err = tlog.CheckRecord(proof, head.size, head.root, index, t.leaf(index))
		}
		if err != nil {
			return 0, 0, fmt.Errorf("inclusion of entry %d: %v", index, err)
		}
		inclusions++
	}
	check := func(older, newer int64, from tlog.HashReader) error {
		err := t.checkConsistency(older, newer, from)
		consistencies++
		return err
	}
	sizes := sample(head.size)
	for i, older := range sizes {
		if err := check(older, head.size, reader); err != nil {
			return 0, 0, err
		}
		newer := sizes[i+1:]
		if head.size > allPairs && len(newer) > 1 {
			newer = newer[:1]
		}
		for _, size := range newer {
			if size == head.size {
				continue
			}
			// The hashes in memory are those of the tiles: every tile was compared.
			if err := check(older, size, t); err != nil {
				return 0, 0, err
			}
		}
	}
	return inclusions, consistencies, nil
}

func (t *tree) checkConsistency(older, newer int64, reader tlog.HashReader) error {
	olderRoot, err := t.root(older)
	if err != nil {
		return err
	}
	newerRoot, err := t.root(newer)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(newer, older, reader)
	if err == nil {
		err = tlog.CheckTree(proof, newer, newerRoot, older, olderRoot)
	}
	if err != nil {
		return fmt.Errorf("consistency of size %d with size %d: %v", older, newer, err)
	}
	return nil
}

// sample returns sizes in rising order, the last being size: all of them for a log of up to
// allSizes entries, else the first 1,024, the last 1,024, and those around the end of each tile.
func sample(size int64) []int64 {
	var sizes []int64
	for n := int64(1); n <= size; n++ {
		near := n <= 1024 || n > size-1024 || (n+1)%tileWidth <= 2
		if size <= allSizes || near {
			sizes = append(sizes, n)
		}
	}
	return sizes
}

// checkOlder checks that an older checkpoint was signed for a beginning of this log.
func (t *tree) checkOlder(keys keyring, path string, head *checkpoint) error {
	older, err := keys.openFile(path)
	if err != nil {
		return err
	}
	if older.origin != head.origin {
		return fmt.Errorf("%s: of another log", path)
	}
	if older.size > head.size {
		return fmt.Errorf("%s: of size %d, beyond the log's %d", path, older.size, head.size)
	}
	if older.size == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(head.size, older.size, t)
	if err == nil {
		err = tlog.CheckTree(proof, head.size, head.root, older.size, older.root)
	}
	if err != nil {
		return fmt.Errorf("%s: the log does not continue it: %v", path, err)
	}
	return nil
}
