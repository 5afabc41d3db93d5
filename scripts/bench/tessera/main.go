// Tessera's POSIX log, for scripts/bench/parts/tessera.py, with the settings that its own example
// server (cmd/conformance/posix) leaves fixed.
//
//	keys                    writes DIR/private.key and DIR/public.key, of a new note signer
//	serve FLAGS             answers POST /add and the log's files, as Tessera's load tool wants them
//	direct FLAGS            no HTTP: adds entries from this process; prints how many a second
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

type settings struct {
	directory, key             string
	batchSize, outstanding     uint
	batchAge, checkpointPeriod time.Duration
	workers, entryBytes        int
	duration                   time.Duration
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("expected: keys, serve or direct")
	}
	var s settings
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&s.directory, "dir", "", "where the log is stored (keys: where the keys are)")
	flags.StringVar(&s.key, "key", "", "file of the private key")
	flags.UintVar(&s.batchSize, "batch-size", tessera.DefaultBatchMaxSize, "entries at most")
	flags.DurationVar(&s.batchAge, "batch-age", tessera.DefaultBatchMaxAge, "")
	flags.DurationVar(&s.checkpointPeriod, "checkpoint", time.Second, "")
	flags.UintVar(&s.outstanding, "outstanding", 1<<20, "entries that may wait")
	flags.IntVar(&s.workers, "workers", 1024, "direct: entries open at once")
	flags.IntVar(&s.entryBytes, "entry-bytes", 112, "direct")
	flags.DurationVar(&s.duration, "duration", 5*time.Second, "direct")
	if err := flags.Parse(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
	work, known := map[string]func(settings) error{
		"keys": makeKeys, "serve": serve, "direct": direct,
	}[os.Args[1]]
	if !known {
		log.Fatalf("expected keys, serve or direct, found %q", os.Args[1])
	}
	if err := work(s); err != nil {
		log.Fatal(err)
	}
}

func makeKeys(s settings) error {
	private, public, err := note.GenerateKey(rand.Reader, "adtally-bench")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.directory, "private.key"), []byte(private), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.directory, "public.key"), []byte(public), 0o600)
}

func open(ctx context.Context, s settings) (*tessera.Appender, error) {
	key, err := os.ReadFile(s.key)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(string(key))
	if err != nil {
		return nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: s.directory})
	if err != nil {
		return nil, err
	}
	// No antispam: entries are all different, and looking for doubles would only slow it down.
	appender, _, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(s.checkpointPeriod).
		WithBatching(s.batchSize, s.batchAge).
		WithPushback(s.outstanding))
	return appender, err
}

func serve(s settings) error {
	ctx := context.Background()
	appender, err := open(ctx, s)
	if err != nil {
		return err
	}
	http.HandleFunc("POST /add", func(answer http.ResponseWriter, request *http.Request) {
		entry, err := io.ReadAll(request.Body)
		if err != nil {
			http.Error(answer, err.Error(), http.StatusBadRequest)
			return
		}
		index, err := appender.Add(request.Context(), tessera.NewEntry(entry))()
		switch {
		case errors.Is(err, tessera.ErrPushback):
			http.Error(answer, err.Error(), http.StatusServiceUnavailable)
		case err != nil:
			http.Error(answer, err.Error(), http.StatusInternalServerError)
		default:
			fmt.Fprintf(answer, "%d", index.Index)
		}
	})
	http.Handle("GET /", http.FileServer(http.Dir(s.directory)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return http.Serve(listener, nil)
}

// direct adds entries from many goroutines, each waiting for its entry's index, which Tessera gives
// once bundle, tiles and tree state are synced.
func direct(s settings) error {
	ctx := context.Background()
	appender, err := open(ctx, s)
	if err != nil {
		return err
	}
	var added atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	started := time.Now()
	for range s.workers {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for time.Since(started) < s.duration {
				entry := make([]byte, s.entryBytes)
				rand.Read(entry)
				if _, err := appender.Add(ctx, tessera.NewEntry(entry))(); err != nil {
					failed.Store(&err)
					return
				}
				added.Add(1)
			}
		}()
	}
	workers.Wait()
	elapsed := time.Since(started)
	if err := failed.Load(); err != nil {
		return *err
	}
	fmt.Printf("%.1f\n", float64(added.Load())/elapsed.Seconds())
	return nil
}
