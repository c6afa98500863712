package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"publish-agent-version/internal/sandbox"
)

// request is what a client sent, as far as the answer depends on it.
type request struct{ method, uri, body string }

// world is a simulated API. It gets each answer from a sandbox, but only once, so that the sandbox's checks are not
// measured. The zero value lacks only the answers, which worlds may share.
type world struct {
	answers  *sync.Map // to changes and a request
	mu       sync.Mutex
	changes  []request // that were made; nil: the world is new
	requests int       // that arrived
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	sent := request{r.Method, r.URL.RequestURI(), string(body)}
	w.mu.Lock()
	w.requests++
	answer := w.answer(sent)
	if r.Method != http.MethodGet && answer.Code < 300 {
		w.changes = append(w.changes, sent)
	}
	w.mu.Unlock()
	maps.Copy(rw.Header(), answer.Header())
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes())
}

func (w *world) answer(sent request) *httptest.ResponseRecorder {
	key := fmt.Sprint(w.changes, sent)
	if answer, found := w.answers.Load(key); found {
		return answer.(*httptest.ResponseRecorder)
	}
	var answer *httptest.ResponseRecorder
	api := sandbox.New()
	for _, r := range append(slices.Clip(w.changes), sent) {
		req := httptest.NewRequest(r.method, r.uri, strings.NewReader(r.body))
		req.Header.Set("Authorization", "Bearer "+sandbox.Token)
		req.Header.Set("Content-Type", "application/json")
		answer = httptest.NewRecorder()
		api.ServeHTTP(answer, req)
	}
	w.answers.Store(key, answer)
	return answer
}

// farAway puts a round trip between its clients and a server on this machine, and counts what passes. The kernel
// completes a TCP handshake here at once: a round trip is charged for it by delaying the client's first bytes. To a
// client that sends first, as in TLS, that looks the same.
type farAway struct {
	net.Listener
	connections, sent, received atomic.Int64 // the latter two in bytes, as the client sees it
}

func (f *farAway) serve(addr string) {
	for {
		client, server := must(f.Accept()), must(net.Dial("tcp", addr))
		f.connections.Add(1)
		connected := time.Now().Add(roundTrip)
		go carry(server.(*net.TCPConn), client, connected, &f.sent)
		go carry(client.(*net.TCPConn), server, connected, &f.received)
	}
}

// carry copies src to dst, including its end. It takes half a round trip, and begins no earlier than connected.
func carry(dst *net.TCPConn, src net.Conn, connected time.Time, bytes *atomic.Int64) {
	type chunk struct {
		arrives time.Time
		data    []byte
	}
	chunks := make(chan chunk, 1024)
	go func() {
		for c := range chunks {
			time.Sleep(time.Until(c.arrives))
			_, _ = dst.Write(c.data) // an end that has closed needs no more
		}
		_ = dst.CloseWrite()
	}()
	defer close(chunks)
	for {
		data := make([]byte, 32<<10)
		n, err := src.Read(data)
		bytes.Add(int64(n))
		chunks <- chunk{time.Now().Add(max(0, time.Until(connected)) + roundTrip/2), data[:n]}
		if err != nil {
			return
		}
	}
}
