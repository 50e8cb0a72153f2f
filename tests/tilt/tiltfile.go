// Package tilt runs the Tiltfile without Tilt: in the same language, on builtins that write down what they are asked for.
package tilt

import (
	"fmt"
	"os"
	"path/filepath"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// Call is one call of a Tilt function: its name and its arguments by their names.
type Call struct {
	Function  string
	Arguments map[string]starlark.Value
}

// The parameters of the functions that the Tiltfile may use, in Tilt's own order (https://docs.tilt.dev/api.html, v0.35). An argument that
// Tilt does not know fails here as it does there.
var signatures = map[string][]string{
	"allow_k8s_contexts": {"contexts"},
	"update_settings":    {"max_parallel_updates", "k8s_upsert_timeout_secs", "suppress_unused_image_warnings"},
	"local_resource": {"name", "cmd", "deps", "trigger_mode", "resource_deps", "ignore", "auto_init", "serve_cmd", "cmd_bat",
		"serve_cmd_bat", "allow_parallel", "links", "env", "serve_env", "readiness_probe", "dir", "serve_dir", "labels"},
	"k8s_custom_deploy": {"name", "apply_cmd", "delete_cmd", "deps", "image_selector", "live_update", "apply_dir", "apply_env",
		"apply_cmd_bat", "delete_dir", "delete_env", "delete_cmd_bat", "container_selector", "image_deps"},
	"k8s_resource": {"workload", "new_name", "port_forwards", "extra_pod_selectors", "trigger_mode", "resource_deps", "objects",
		"auto_init", "pod_readiness", "links", "labels", "discovery_strategy"},
	"port_forward": {"local_port", "container_port", "name", "link_path", "host"},
	"link":         {"url", "name"},
}

// Run evaluates the Tiltfile and returns what it asks Tilt for, in order.
func Run(path string) ([]Call, error) {
	var calls []Call
	record := func(thread *starlark.Thread, builtin *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		parameters := signatures[builtin.Name()]
		if len(args) > len(parameters) {
			return nil, fmt.Errorf("%s: too many arguments", builtin.Name())
		}
		call := Call{builtin.Name(), map[string]starlark.Value{}}
		for i, value := range args {
			call.Arguments[parameters[i]] = value
		}
		for _, pair := range kwargs {
			name := string(pair[0].(starlark.String))
			if !contains(parameters, name) {
				return nil, fmt.Errorf("%s has no parameter %s", builtin.Name(), name)
			}
			if _, twice := call.Arguments[name]; twice {
				return nil, fmt.Errorf("%s: %s is given twice", builtin.Name(), name)
			}
			call.Arguments[name] = pair[1]
		}
		calls = append(calls, call)
		members := starlark.StringDict{}
		for name, value := range call.Arguments {
			members[name] = value
		}
		return starlarkstruct.FromStringDict(starlark.String(builtin.Name()), members), nil
	}
	main, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	predeclared := starlark.StringDict{
		"TRIGGER_MODE_MANUAL": starlark.MakeInt(1),
		"TRIGGER_MODE_AUTO":   starlark.MakeInt(0),
		"config":              object(starlark.StringDict{"main_dir": starlark.String(filepath.Dir(main))}),
		"os":                  object(starlark.StringDict{"path": object(starlark.StringDict{"dirname": builtin("dirname", dirname), "join": builtin("join", join)})}),
		"read_file":           builtin("read_file", readFile),
	}
	for name := range signatures {
		predeclared[name] = starlark.NewBuiltin(name, record)
	}
	// As Tilt sets them: loops and ifs may stand at the top level.
	options := &syntax.FileOptions{TopLevelControl: true, GlobalReassign: true, Set: true, While: true}
	_, err = starlark.ExecFileOptions(options, &starlark.Thread{Name: path}, path, nil, predeclared)
	return calls, err
}

func object(members starlark.StringDict) starlark.Value {
	return starlarkstruct.FromStringDict(starlarkstruct.Default, members)
}

func builtin(name string, work func(args []string) (string, error)) starlark.Value {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if len(kwargs) > 0 {
			return nil, fmt.Errorf("%s takes no named arguments here", b.Name())
		}
		var texts []string
		for _, arg := range args {
			text, ok := starlark.AsString(arg)
			if !ok {
				return nil, fmt.Errorf("%s: %s is no string", b.Name(), arg)
			}
			texts = append(texts, text)
		}
		result, err := work(texts)
		return starlark.String(result), err
	})
}

func dirname(args []string) (string, error) { return filepath.Dir(args[0]), nil }
func join(args []string) (string, error)    { return filepath.Join(args...), nil }

func readFile(args []string) (string, error) {
	text, err := os.ReadFile(args[0])
	return string(text), err
}

func contains(names []string, name string) bool {
	for _, known := range names {
		if known == name {
			return true
		}
	}
	return false
}
