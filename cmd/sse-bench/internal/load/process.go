package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/client"
)

// WorkerCommand is the argument that makes this program a worker process.
const WorkerCommand = "worker"

// process is a worker that runs as a process of its own: the same program,
// driven by JSON lines over its standard input and output.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder
	cpu float64 // seconds, from its last answer that told
}

func startProcess() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("worker process: %w", err)
	}
	cmd := exec.Command(self, WorkerCommand)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("worker process: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("worker process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("worker process: %w", err)
	}
	return &process{cmd: cmd, in: in, enc: json.NewEncoder(in), dec: json.NewDecoder(out)}, nil
}

// Call implements worker.
func (p *process) Call(req client.Request) (client.Response, error) {
	var r client.Response
	if err := p.enc.Encode(req); err != nil {
		return r, fmt.Errorf("worker process: %w", err)
	}
	if err := p.dec.Decode(&r); err != nil {
		return r, fmt.Errorf("worker process: %w", err)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	if r.CPU > 0 {
		p.cpu = r.CPU
	}
	return r, nil
}

// end closes the worker's input, upon which it exits, and waits for that.
func (p *process) end() {
	_ = p.in.Close()
	_ = p.cmd.Wait()
}

// ServeWorker is the main loop of a worker process: it answers requests until
// its input ends, which also happens when the parent dies.
func ServeWorker(in io.Reader, out io.Writer) error {
	// Ctrl-C reaches the whole group; the parent decides what to do about it.
	signal.Ignore(os.Interrupt)
	var w client.Worker
	defer func() { _, _ = w.Call(client.Request{Op: client.OpClose}) }()
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var req client.Request
		if err := dec.Decode(&req); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		r, _ := w.Call(req) // the error is in the answer
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
	}
}
