package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const imageName = "publish-agent-version:bench"

// size compares the action's binary with the floor's.
func (b bench) size() error {
	action, err := os.Stat(b.action)
	if err != nil {
		return err
	}
	floor, err := os.Stat(b.floor)
	if err != nil {
		return err
	}
	fmt.Printf("| | bytes |\n|---|---|\n| the action's program | %d |\n| the floor's | %d |\n| ratio | %.3f |\n",
		action.Size(), floor.Size(), float64(action.Size())/float64(floor.Size()))
	return nil
}

// image measures the time from "uses:" to the end of the step: getting the image, then running it. Its binary is as big
// as a release's but different, so that no layers of another image are reused.
func (b bench) image() error {
	if err := exec.Command("docker", "version").Run(); err != nil {
		fmt.Println("Left out: no Docker engine answers.")
		return nil
	}
	build := []string{"build", "--build-arg", "VERSION=" + strconv.FormatInt(time.Now().Unix(), 10)}
	if compiler := os.Getenv("GO_IMAGE"); compiler != "" {
		build = append(build, "--build-arg", "GO_IMAGE="+compiler)
	}
	// In two steps, because only a named image can be removed again.
	stage := imageName + "-stage"
	defer exec.Command("docker", "image", "rm", imageName, stage).Run()
	built, err := repeat(3, func() error {
		if err := docker(append(build, "--no-cache", "--target", "build", "--tag", stage, ".")...); err != nil {
			return err
		}
		return docker(append(build, "--tag", imageName, ".")...)
	})
	if err != nil {
		return err
	}
	if err := b.imageSize(); err != nil {
		return err
	}

	env, err := b.step(b.api.http)
	if err != nil {
		return err
	}
	run := []string{"run", "--rm", "--network", "host", "--volume", b.dir + ":" + b.dir}
	for _, v := range env {
		if !strings.HasPrefix(v, "SSL_") {
			run = append(run, "--env", v)
		}
	}
	ran, err := repeat(10, func() error { return docker(append(run, imageName)...) })
	if err != nil {
		return err
	}
	pulled, err := b.pull()
	if err != nil {
		return err
	}
	fmt.Printf("\n| | s |\n|---|---|\n| build from the Dockerfile, compiler's image already there | %s |\n| pull from a registry on this machine | %s |\n"+
		"| run | %s |\n", built, pulled, ran)
	return nil
}

// imageSize prints the image's size, on disk and compressed.
func (b bench) imageSize() error {
	size, err := exec.Command("docker", "image", "inspect", "--format", "{{.Size}}", imageName).Output()
	if err != nil {
		return err
	}
	archive, err := exec.Command("docker", "save", imageName).Output()
	if err != nil {
		return err
	}
	var compressed bytes.Buffer
	z := gzip.NewWriter(&compressed)
	_, _ = z.Write(archive)
	_ = z.Close()
	fmt.Printf("| image | bytes |\n|---|---|\n| on disk | %s |\n| compressed | %d |\n", bytes.TrimSpace(size), compressed.Len())
	onDisk, err := strconv.ParseFloat(string(bytes.TrimSpace(size)), 64)
	b.goals.add("image on disk, MB", 7.5, []float64{onDisk / 1e6})
	b.goals.add("image compressed, MB", 3.2, []float64{float64(compressed.Len()) / 1e6})
	return err
}

// pull measures a pull of the image from a registry when no layer is present.
func (b bench) pull() (string, error) {
	if _, err := exec.LookPath("docker-registry"); err != nil {
		return "no docker-registry here", nil
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr := free.Addr().String()
	free.Close()
	config := filepath.Join(b.dir, "registry.yml")
	text := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", filepath.Join(b.dir, "registry"), addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", err
	}
	registry := exec.Command("docker-registry", "serve", config)
	if err := registry.Start(); err != nil {
		return "", err
	}
	defer func() {
		_ = registry.Process.Kill()
		_ = registry.Wait()
	}()
	for range 100 {
		if resp, err := http.Get("http://" + addr + "/v2/"); err == nil {
			resp.Body.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	remote := addr + "/" + imageName
	defer exec.Command("docker", "image", "rm", remote).Run()
	for _, args := range [][]string{{"tag", imageName, remote}, {"push", remote}, {"image", "rm", imageName, remote}} {
		if err := docker(args...); err != nil {
			return "", err
		}
	}
	var total []float64
	for range 5 {
		start := time.Now()
		if err := docker("pull", remote); err != nil {
			return "", err
		}
		total = append(total, time.Since(start).Seconds())
		if err := docker("image", "rm", remote); err != nil {
			return "", err
		}
	}
	return spread(total, 2), nil
}

func docker(args ...string) error {
	cmd := exec.Command("docker", args...)
	cmd.Stdout = io.Discard
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("docker %s: %w\n%s", args[0], err, &stderr)
	}
	return nil
}

// repeat calls f several times and returns how many seconds each call took.
func repeat(times int, f func() error) (string, error) {
	var took []float64
	for range times {
		start := time.Now()
		if err := f(); err != nil {
			return "", err
		}
		took = append(took, time.Since(start).Seconds())
	}
	return spread(took, 2), nil
}
