package keys

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// FileInterval is how often a key file is read. A change counts once two
// readings in a row found the same, so that a file that is being written is not
// taken for a complete one.
const FileInterval = time.Second

// File is a file of keys that is read again when it changes. A file that is
// broken or missing leaves the keys as they were. It may be used concurrently.
type File struct {
	// Fixed at construction.
	name  string // of the variable
	path  string
	parse func(path string, data []byte) (fixed, error)
	log   *slog.Logger

	keys atomic.Pointer[fixed] // the newest that could be read

	// mu guards the rest. Invariant: tried is the sum of what was parsed last;
	// seen is the sum of the last reading.
	mu          sync.Mutex
	tried, seen [sha256.Size]byte
	broken      string // the last error that was logged; "" if the file is good
}

// SecretFile opens a file with one secret per line, which has to be good.
func SecretFile(path string, log *slog.Logger) (*File, error) {
	return open(&File{name: "SSE_JWT_SECRET_FILE", path: path, parse: parseSecrets, log: log})
}

// PublicKeyFile opens a PEM file of public keys or certificates, which has to be good.
func PublicKeyFile(path string, log *slog.Logger) (*File, error) {
	return open(&File{name: "SSE_JWT_PUBLIC_KEY_FILE", path: path, parse: parsePublicKeys, log: log})
}

func open(f *File) (*File, error) {
	data, err := readFile(f.name, f.path)
	if err != nil {
		return nil, err
	}
	keys, err := f.parse(f.path, data)
	if err != nil {
		return nil, err
	}
	f.tried = sha256.Sum256(data)
	f.seen = f.tried
	f.keys.Store(&keys)
	return f, nil
}

// Find implements Source.
func (f *File) Find(ctx context.Context, t *jwt.Token) (any, error) {
	return f.keys.Load().Find(ctx, t)
}

// Run implements Source.
func (f *File) Run(ctx context.Context) {
	tick := time.NewTicker(FileInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.refresh(false)
		}
	}
}

// Reload implements Source.
func (f *File) Reload() { f.refresh(true) }

// refresh reads the file and takes over what changed. Unless now is set it waits
// for a second reading that finds the same.
func (f *File) refresh(now bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := readFile(f.name, f.path)
	if err != nil {
		f.fail(err)
		return
	}
	sum := sha256.Sum256(data)
	settled := now || sum == f.seen
	f.seen = sum
	if !settled || sum == f.tried && f.broken == "" {
		return
	}
	f.tried = sum
	keys, err := f.parse(f.path, data)
	if err != nil {
		f.fail(err)
		return
	}
	f.broken = ""
	f.keys.Store(&keys)
	f.log.Info("the keys for tokens were read again", "variable", f.name, "file", f.path, "keys", len(keys))
}

// fail logs an error that was not the last one. The caller holds mu.
func (f *File) fail(err error) {
	if f.broken != err.Error() {
		f.broken = err.Error()
		f.log.Warn("the keys for tokens cannot be read again, those that are known stay in use", "error", err)
	}
}
