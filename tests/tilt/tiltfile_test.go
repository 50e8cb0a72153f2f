package tilt

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

const root = "../.."

func calls(t *testing.T) []Call {
	t.Helper()
	calls, err := Run(filepath.Join(root, "tilt/Tiltfile"))
	if err != nil {
		if evaluation, ok := err.(*starlark.EvalError); ok {
			t.Fatal(evaluation.Backtrace())
		}
		t.Fatal(err)
	}
	return calls
}

func strs(value starlark.Value) []string {
	var texts []string
	list, ok := value.(*starlark.List)
	if !ok {
		return nil
	}
	for i := 0; i < list.Len(); i++ {
		text, _ := starlark.AsString(list.Index(i))
		texts = append(texts, text)
	}
	return texts
}

func str(value starlark.Value) string {
	text, _ := starlark.AsString(value)
	return text
}

// The resources that Tilt would show, by name.
func resources(t *testing.T) map[string]Call {
	found := map[string]Call{}
	for _, call := range calls(t) {
		if call.Function == "local_resource" || call.Function == "k8s_custom_deploy" {
			name := str(call.Arguments["name"])
			if _, twice := found[name]; twice {
				t.Errorf("two resources are called %s", name)
			}
			found[name] = call
		}
	}
	return found
}

func TestEachImageIsAResource(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(root, "scripts/images.txt"))
	if err != nil {
		t.Fatal(err)
	}
	all, number := resources(t), 0
	for _, line := range strings.Split(string(list), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		number++
		image := strings.Fields(line)[0]
		if all[image].Function != "k8s_custom_deploy" {
			t.Errorf("no resource deploys %s", image)
		}
	}
	if number != 9 {
		t.Errorf("%d images, not nine", number)
	}
}

func TestWhatIsWatchedIsThere(t *testing.T) {
	for name, resource := range resources(t) {
		deps := strs(resource.Arguments["deps"])
		if resource.Function == "k8s_custom_deploy" && len(deps) == 0 {
			t.Errorf("%s is never rebuilt", name)
		}
		for _, path := range deps {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestEachCommandIsAStepThatExists(t *testing.T) {
	step, err := os.ReadFile(filepath.Join(root, "tilt/step"))
	if err != nil {
		t.Fatal(err)
	}
	for name, resource := range resources(t) {
		for _, argument := range []string{"cmd", "apply_cmd", "delete_cmd"} {
			command := strs(resource.Arguments[argument])
			if len(command) == 0 || command[0] == "true" {
				continue
			}
			if command[0] != "tilt/step" || len(command) < 2 {
				t.Errorf("%s runs %q", name, command)
				continue
			}
			verb := command[1]
			if !strings.Contains(string(step), "\n    "+verb+")") && !strings.Contains(string(step), verb+" |") && !strings.Contains(string(step), "| "+verb+")") {
				t.Errorf("%s: tilt/step has no %s", name, verb)
			}
			if str(resource.Arguments["dir"]) == "" && str(resource.Arguments[strings.TrimSuffix(argument, "cmd")+"dir"]) == "" {
				t.Errorf("%s: %s would run in the Tiltfile's folder", name, argument)
			}
		}
	}
	if out, err := exec.Command("bash", "-n", filepath.Join(root, "tilt/step")).CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
	if err := exec.Command(filepath.Join(root, "tilt/step"), "no-such-step").Run(); err == nil {
		t.Error("a step that is not there must fail")
	}
}

func TestNoPortIsForwardedTwice(t *testing.T) {
	taken := map[string]bool{}
	for _, call := range calls(t) {
		if call.Function == "port_forward" {
			port := call.Arguments["local_port"].String()
			if taken[port] {
				t.Errorf("two forwards from %s", port)
			}
			taken[port] = true
		}
	}
	for _, port := range []string{"8080", "8081", "8082", "8083", "8084", "8085", "8086", "8087"} {
		if !taken[port] {
			t.Errorf("%s is not forwarded", port)
		}
	}
}

func TestWhatIsWaitedForIsThere(t *testing.T) {
	all := resources(t)
	for _, call := range calls(t) {
		if call.Function == "k8s_resource" {
			if name := str(call.Arguments["workload"]); all[name].Function != "k8s_custom_deploy" {
				t.Errorf("k8s_resource %s has nothing to configure", name)
			}
		}
		for _, name := range strs(call.Arguments["resource_deps"]) {
			if _, there := all[name]; !there {
				t.Errorf("nothing is called %s", name)
			}
		}
	}
}

func TestOnlyTheKindClusterIsTouched(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(root, "tilt/kind.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var cluster v1alpha4.Cluster
	decoder := yaml.NewDecoder(bytes.NewReader(file))
	decoder.KnownFields(true)
	if err := decoder.Decode(&cluster); err != nil {
		t.Fatal(err)
	}
	for _, call := range calls(t) {
		if call.Function == "allow_k8s_contexts" && str(call.Arguments["contexts"]) != "kind-"+cluster.Name {
			t.Errorf("Tilt may touch %s, kind makes kind-%s", call.Arguments["contexts"], cluster.Name)
		}
	}
}
