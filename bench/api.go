package main

import (
	"encoding/pem"
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

// recordings are the sandbox's answers. Each is made once, so that what the sandbox checks is not timed.
type recordings struct {
	sync.Mutex
	answers map[string]*httptest.ResponseRecorder
}

// answer returns the answer to r of a new sandbox in which changes were made before.
func (rec *recordings) answer(changes []request, r request) *httptest.ResponseRecorder {
	rec.Lock()
	defer rec.Unlock()
	key := fmt.Sprint(changes, r)
	if rec.answers[key] == nil {
		api := sandbox.New()
		for _, r := range slices.Concat(changes, []request{r}) {
			req := httptest.NewRequest(r.method, r.uri, strings.NewReader(r.body))
			req.Header.Set("Authorization", "Bearer "+sandbox.Token)
			req.Header.Set("Content-Type", "application/json")
			rec.answers[key] = httptest.NewRecorder()
			api.ServeHTTP(rec.answers[key], req)
		}
	}
	return rec.answers[key]
}

// world is a simulated API. It answers from recordings.
type world struct {
	*recordings
	mu       sync.Mutex
	changes  []request // that were made; nil: the world is new
	requests int       // that arrived
}

func newWorld() world {
	return world{recordings: &recordings{answers: make(map[string]*httptest.ResponseRecorder)}}
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	sent := request{r.Method, r.URL.RequestURI(), string(body)}
	w.mu.Lock()
	w.requests++
	answer := w.answer(w.changes, sent)
	if r.Method != http.MethodGet && answer.Code < 300 {
		w.changes = append(w.changes, sent)
	}
	w.mu.Unlock()
	maps.Copy(rw.Header(), answer.Header())
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes())
}

// api serves a world until this program ends.
type api struct {
	*world
	http, https, https1 string // base URLs: HTTP/1.1, HTTP/2 over TLS, HTTP/1.1 over TLS
	certificate         []byte // PEM
}

func newAPI() api {
	w := newWorld()
	plain, secure, secure1 := httptest.NewServer(&w), httptest.NewUnstartedServer(&w), httptest.NewTLSServer(&w)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	return api{&w, plain.URL, secure.URL, secure1.URL, certificate}
}

// farAway adds a round trip to each exchange with a server on this machine, and counts what passes. The local kernel
// completes a TCP handshake at once; a round trip is charged for it by delaying the client's first bytes. To a client
// that sends first, as in TLS, that looks the same.
type farAway struct {
	server                      string
	connections, sent, received atomic.Int64 // bytes, as the client sees it
}

func (f *farAway) serve(l net.Listener) {
	for {
		client := must(l.Accept()).(*net.TCPConn)
		server := must(net.Dial("tcp", f.server)).(*net.TCPConn)
		f.connections.Add(1)
		connected := time.Now().Add(roundTrip)
		go carry(server, client, connected, &f.sent)
		go carry(client, server, connected, &f.received)
	}
}

// carry copies from src to dst, including the end of the stream. Each chunk takes half a round trip, and none is sent
// before the time connected.
func carry(dst, src *net.TCPConn, connected time.Time, bytes *atomic.Int64) {
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
