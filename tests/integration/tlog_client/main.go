// Reads a published log as any tlog client would, with the Go checksum database's own packages, and
// checks all of it: the note, every tile, every record, proofs for records and between sizes.
//
//	tlogclient LOG VERIFIER [COSIGNER ...]
//
// LOG is the address of the log, or a folder. It prints what it found as JSON, proofs included, for
// the test to compare with the service's own; it exits with 1 and says why if anything is wrong.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type proofs struct {
	Records map[int64][]string `json:"records"`
	Trees   map[int64][]string `json:"trees"`
}

type findings struct {
	Origin   string   `json:"origin"`
	Size     int64    `json:"size"`
	Root     string   `json:"root"`
	Records  int64    `json:"records"`
	Tiles    int      `json:"tiles"`
	Bulk     int      `json:"bulk"`
	Cosigned []string `json:"cosigned"`
	Proofs   proofs   `json:"proofs"`
}

func main() {
	if len(os.Args) < 3 {
		fail(errors.New("usage: tlogclient LOG VERIFIER [COSIGNER ...]"))
	}
	found, err := check(site(os.Args[1]), os.Args[2], os.Args[3:])
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func check(log site, verifier string, cosigners []string) (*findings, error) {
	origin, tree, err := checkpoint(log, "checkpoint", verifier)
	if err != nil {
		return nil, err
	}
	found := &findings{Origin: origin, Size: tree.N, Root: hex.EncodeToString(tree.Hash[:])}
	tiles := &tileReader{log: log, seen: map[string]bool{}}
	reader := tlog.TileHashReader(tree, tiles)
	if root, err := tlog.TreeHash(tree.N, reader); err != nil || root != tree.Hash {
		return nil, fmt.Errorf("tree hash %v, error %v, not %v", root, err, tree.Hash)
	}
	if err := checkTiles(log, reader, tree.N); err != nil {
		return nil, err
	}
	if found.Records, err = checkRecords(log, reader, tree.N); err != nil {
		return nil, err
	}
	if found.Bulk, err = checkBulk(log, tree.N); err != nil {
		return nil, err
	}
	if found.Proofs, err = prove(tree, reader); err != nil {
		return nil, err
	}
	found.Tiles = len(tiles.seen)
	if len(cosigners) > 0 {
		found.Cosigned, err = checkCosigned(log, tree, reader, verifier, cosigners)
	}
	return found, err
}

// The note.

func checkpoint(log site, path, verifier string) (string, tlog.Tree, error) {
	none := tlog.Tree{}
	text, err := log.read(path)
	if err != nil {
		return "", none, err
	}
	key, err := note.NewVerifier(verifier)
	if err != nil {
		return "", none, err
	}
	opened, err := note.Open(text, note.VerifierList(key))
	if err != nil {
		return "", none, err
	}
	return parseCheckpoint(opened.Text)
}

func parseCheckpoint(text string) (string, tlog.Tree, error) {
	var tree tlog.Tree
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return "", tree, fmt.Errorf("expected three lines, found %q", text)
	}
	if _, err := fmt.Sscanf(lines[1], "%d", &tree.N); err != nil {
		return "", tree, err
	}
	hash, err := tlog.ParseHash(lines[2])
	tree.Hash = hash
	if text != fmt.Sprintf("%s\n%d\n%s\n", lines[0], tree.N, hash) {
		return "", tree, fmt.Errorf("not canonical: %q", text)
	}
	return lines[0], tree, err
}

// cosigner verifies C2SP cosignature/v1, which the note package leaves to others.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newCosigner(verifier string) (*cosigner, error) {
	parts := strings.SplitN(verifier, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("not a verifier: %q", verifier)
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != 4 {
		return nil, fmt.Errorf("not a cosigner's key: %q", verifier)
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if hex.EncodeToString(sum[:4]) != parts[1] {
		return nil, fmt.Errorf("key hash %x, not %s", sum[:4], parts[1])
	}
	return &cosigner{parts[0], binary.BigEndian.Uint32(sum[:4]), key[1:]}, nil
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }
func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(sig)
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, msg)
	return ed25519.Verify(c.key, []byte(signed), sig[8:])
}

func checkCosigned(
	log site, newest tlog.Tree, reader tlog.HashReader, verifier string, names []string,
) ([]string, error) {
	text, err := log.read("cosigned-checkpoint")
	if err != nil {
		return nil, err
	}
	key, err := note.NewVerifier(verifier)
	if err != nil {
		return nil, err
	}
	verifiers := []note.Verifier{key}
	for _, name := range names {
		each, err := newCosigner(name)
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, each)
	}
	opened, err := note.Open(text, note.VerifierList(verifiers...))
	if err != nil {
		return nil, err
	}
	_, tree, err := parseCheckpoint(opened.Text)
	if err != nil {
		return nil, err
	}
	if root, err := tlog.TreeHash(tree.N, reader); err != nil || root != tree.Hash {
		return nil, fmt.Errorf("cosigned root %v, error %v, not %v", tree.Hash, err, root)
	}
	var cosigned []string
	for _, sig := range opened.Sigs {
		if sig.Name != key.Name() {
			cosigned = append(cosigned, sig.Name)
		}
	}
	return cosigned, nil
}

// Tiles, records, bulk files.

// checkTiles compares every tile of the tree with the one that its verified hashes make.
func checkTiles(log site, reader tlog.HashReader, size int64) error {
	for _, tile := range tlog.NewTiles(height, 0, size) {
		expected, err := tlog.ReadTileData(tile, reader)
		if err != nil {
			return err
		}
		found, err := log.read(pathOf(tile))
		if err != nil {
			return err
		}
		if string(found) != string(expected) {
			return fmt.Errorf("%s differs", pathOf(tile))
		}
	}
	return nil
}

func checkRecords(log site, reader tlog.HashReader, size int64) (int64, error) {
	var index int64
	for index < size {
		bundle, err := log.read(pathOf(tlog.Tile{H: height, L: -1, N: index >> height, W: width(index, size)}))
		if err != nil {
			return index, err
		}
		// All leaves of a bundle at once: each question costs a whole path of tiles.
		var hashes []tlog.Hash
		var leaves []int64
		for len(bundle) > 0 {
			record, rest, err := next(bundle)
			if err != nil {
				return index, err
			}
			hashes = append(hashes, tlog.RecordHash(record))
			leaves = append(leaves, tlog.StoredHashIndex(0, index))
			bundle = rest
			index++
		}
		found, err := reader.ReadHashes(leaves)
		if err != nil {
			return index, err
		}
		for at := range found {
			if found[at] != hashes[at] {
				first := index - int64(len(hashes))
				return index, fmt.Errorf("record %d has another hash than its leaf", first+int64(at))
			}
		}
	}
	if index != size {
		return index, fmt.Errorf("%d records, not %d", index, size)
	}
	return index, nil
}

func checkBulk(log site, size int64) (int, error) {
	count := int(size >> (2 * height))
	for number := 0; number < count; number++ {
		var joined []byte
		for at := 0; at < 1<<height; at++ {
			tile := tlog.Tile{H: height, L: -1, N: int64(number<<height + at), W: 1 << height}
			bundle, err := log.read(pathOf(tile))
			if err != nil {
				return number, err
			}
			joined = append(joined, bundle...)
		}
		// Numbered like everything else; a tile's path ends in its number.
		path := pathOf(tlog.Tile{H: height, L: -1, N: int64(number), W: 1 << height})
		bulk, err := log.read("bulk/" + strings.TrimPrefix(path, "tile/entries/"))
		if err != nil {
			return number, err
		}
		if string(bulk) != string(joined) {
			return number, fmt.Errorf("bulk file %d is not its bundles joined", number)
		}
	}
	return count, nil
}

func width(index, size int64) int {
	return int(min(size-index>>height<<height, 1<<height))
}

func next(bundle []byte) (record, rest []byte, err error) {
	if len(bundle) < 2 {
		return nil, nil, errors.New("a bundle ends within a length")
	}
	end := 2 + int(binary.BigEndian.Uint16(bundle))
	if end > len(bundle) {
		return nil, nil, errors.New("a bundle ends within a record")
	}
	return bundle[2:end], bundle[end:], nil
}

// Proofs, made from the tiles and checked as a client checks a server's.

func prove(tree tlog.Tree, reader tlog.HashReader) (proofs, error) {
	made := proofs{map[int64][]string{}, map[int64][]string{}}
	for _, index := range []int64{0, 1, 255, 256, tree.N / 2, tree.N - 1} {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return made, err
		}
		leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return made, err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf[0]); err != nil {
			return made, err
		}
		made.Records[index] = texts(proof)
	}
	for _, size := range []int64{1, 2, 255, 256, 257, tree.N / 2, tree.N - 1, tree.N} {
		proof, err := tlog.ProveTree(tree.N, size, reader)
		if err != nil {
			return made, err
		}
		root, err := tlog.TreeHash(size, reader)
		if err != nil {
			return made, err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, size, root); err != nil {
			return made, err
		}
		made.Trees[size] = texts(proof)
	}
	return made, nil
}

func texts(hashes []tlog.Hash) []string {
	made := []string{}
	for _, hash := range hashes {
		made = append(made, hex.EncodeToString(hash[:]))
	}
	return made
}

// Where files come from.

type tileReader struct {
	log  site
	seen map[string]bool
}

func (r *tileReader) Height() int                                { return height }
func (r *tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (r *tileReader) ReadTiles(tiles []tlog.Tile) (all [][]byte, err error) {
	for _, tile := range tiles {
		data, err := r.log.read(pathOf(tile))
		if err != nil {
			return nil, err
		}
		r.seen[pathOf(tile)] = true
		all = append(all, data)
	}
	return all, nil
}

// pathOf is the C2SP path: Go's own, without the height, and with "entries" for "data".
func pathOf(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	if data, ok := strings.CutPrefix(path, "data/"); ok {
		return "tile/entries/" + data
	}
	return "tile/" + path
}

type site string

var kept = map[string][]byte{}

func (s site) read(path string) ([]byte, error) {
	if data, ok := kept[path]; ok {
		return data, nil
	}
	data, err := s.fetch(path)
	if err == nil {
		kept[path] = data
	}
	return data, err
}

func (s site) fetch(path string) ([]byte, error) {
	if !strings.HasPrefix(string(s), "http") {
		return os.ReadFile(filepath.Join(string(s), path))
	}
	response, err := http.Get(string(s) + "/" + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}
