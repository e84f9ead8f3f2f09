# Fairlead: one non-recursive makefile. Everything it makes lies under build/ (or BUILD=dir).
#
# Sources are found by folder, so a new file needs no line here: every *.c of SRC_DIRS goes into one
# archive, of which each program takes what it needs. Programs are the rows of BINARIES.

BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
CXX      := $(if $(filter default,$(origin CXX)),$(shell command -v ccache >/dev/null && echo ccache) g++,$(CXX))
CC       := $(if $(filter default,$(origin CC)),$(shell command -v ccache >/dev/null && echo ccache) gcc,$(CC))
OPT      ?= -O2 -g
SANITIZE ?=
VERSION  := $(shell cat VERSION)

SRC_DIRS := common/base common/model common/wire common/coord isolators libframework \
            master master/allocator master/api agent agent/containerizer agent/docker agent/images agent/api emulator emulator/load executors/default cli
PKGS     := libevent libevent_openssl libevent_pthreads openssl jansson libprotobuf-c zlib yaml-0.1
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS     := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lhttp_parser -lwslay -llmdb -lcgroup -lcurl -larchive \
            -lcap -lseccomp -lre2 -lstdc++ -lpthread -ldl -lm

SRC_DIRS += isolators/cni

WARN     := -Wall -Wextra -Wshadow -Werror -Wno-unused-parameter -Wmissing-prototypes \
            -Wstrict-prototypes -Wvla -Wformat=2 -Wno-format-nonliteral -Wpointer-arith
CFLAGS   += -std=gnu17 $(OPT) $(SANITIZE) -fPIC -fvisibility=hidden -fno-semantic-interposition -fno-strict-aliasing -pthread
CPPFLAGS += -I. -I$(BUILD)/gen -Ilibframework -D_GNU_SOURCE -DFL_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
LDFLAGS  += -pthread -Wl,--as-needed $(SANITIZE)

# ---- messages: .proto -> C, once for the whole build ---------------------------------------------
PROTOS     := $(wildcard proto/*.proto)
PROTO_C    := $(PROTOS:%.proto=$(BUILD)/gen/%.pb-c.c)
PROTO_H    := $(PROTO_C:.c=.h)
PROTO_OBJ  := $(PROTO_C:$(BUILD)/gen/%.c=$(BUILD)/obj/gen/%.o)

# ---- sources -------------------------------------------------------------------------------------
SRC        := $(filter-out %main.c,$(foreach d,$(SRC_DIRS),$(wildcard $(d)/*.c)))
SRC_CC     := $(foreach d,$(SRC_DIRS),$(wildcard $(d)/*.cc)) # bridges to C++ libraries without a C interface
OBJ        := $(SRC:%.c=$(BUILD)/obj/%.o) $(SRC_CC:%.cc=$(BUILD)/obj/%.o)
LIBFL      := $(BUILD)/lib/libfairlead.a

BINARIES   := fairlead-master:master/main.c fairlead-agent:agent/main.c fairlead:cli/main.c \
              fairlead-emulator:emulator/main.c \
              fairlead-loadgen:emulator/load/main.c \
              fairlead-default-executor:executors/default/main.c \
              fairlead-image:agent/images/main.c \
              fairlead-rootfs:agent/images/rootfs_main.c \
              fairlead-allocator-replay:master/allocator/replay_main.c
BIN_OF      = $(firstword $(subst :, ,$(1)))
MAIN_OF     = $(lastword $(subst :, ,$(1)))
BINARIES   += fairlead-cni-port-mapper:isolators/cni/port_mapper_main.c
BIN_ROWS   := $(foreach r,$(BINARIES),$(if $(wildcard $(call MAIN_OF,$(r))),$(r)))
BINS       := $(foreach r,$(BIN_ROWS),$(BUILD)/bin/$(call BIN_OF,$(r)))

SHIM_SRC   := $(wildcard agent/containerizer/shim/*.c)
SHIM       := $(if $(SHIM_SRC),$(BUILD)/bin/fairlead-shim)

LIBFW_MAP  := $(wildcard libframework/libframework.map)
LIBFW      := $(if $(LIBFW_MAP),$(BUILD)/lib/libframework.so)
EXAMPLES   := $(patsubst libframework/examples/%.c,$(BUILD)/examples/%,$(wildcard libframework/examples/*.c))

UNIT       := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
PROPERTY   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/property/prop_*.c))
BENCH      := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/bench_*.c))
FUZZ       := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
MODULES    := $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/modules/*.c))

TESTTOOLS  := $(BUILD)/tests/proto/pbtool

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: bench-cni all deps up down check unit property system interop bench bench-million bench-scale soak churn plots vm-cgroups2 lint asan fuzz-short install clean \
        docs format-mine conformance

all: $(LIBFL) $(BINS) $(SHIM) $(LIBFW) $(EXAMPLES) $(MODULES) $(TESTTOOLS)

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h &: %.proto
	@mkdir -p $(BUILD)/gen/proto
	protoc-c -I. -I/usr/include --c_out=$(BUILD)/gen $<

# The build's own facts (commit, date); the file changes only when they do.
$(shell tools/build_info.sh $(BUILD)/gen/build_info.h)

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c | $(PROTO_H)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -w -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.c | $(PROTO_H)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) -std=c++17 $(OPT) $(SANITIZE) -fPIC -fvisibility=hidden -fno-exceptions -fno-rtti -Wall -Wextra \
	    $(if $(findstring clang,$(CXX)),-fno-sanitize=function) -Werror -MMD -MP -c -o $@ $<

$(LIBFL): $(PROTO_OBJ) $(OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

# The web page: built by npm below build/, compiled in. The list of its sources is a source of its own, so that one that is deleted counts.
WEBUI_SRC  := $(sort $(shell find webui -type f -not -path '*/node_modules/*'))
WEBUI_OBJ  := $(BUILD)/obj/gen/webui_assets.o
$(shell mkdir -p $(BUILD)/gen; echo '$(WEBUI_SRC)' | cmp -s - $(BUILD)/gen/webui.list || echo '$(WEBUI_SRC)' > $(BUILD)/gen/webui.list)
$(BUILD)/gen/webui.stamp: $(WEBUI_SRC) $(BUILD)/gen/webui.list tools/build_webui.sh
	tools/build_webui.sh $(BUILD)/webui
	@touch $@
$(BUILD)/gen/webui_assets.c: $(BUILD)/gen/webui.stamp tools/embed_assets.py
	tools/embed_assets.py $(BUILD)/webui $@
$(WEBUI_OBJ): master/api/page_assets.h
$(LIBFL): $(WEBUI_OBJ)

define BINARY_RULE
$(BUILD)/bin/$(call BIN_OF,$(1)): $(BUILD)/obj/$(patsubst %.c,%.o,$(call MAIN_OF,$(1))) $(LIBFL)
	@mkdir -p $$(@D)
	$$(CC) -rdynamic -o $$@ $$< $(LIBFL) $$(LDFLAGS) $$(LIBS)
endef
$(foreach r,$(BIN_ROWS),$(eval $(call BINARY_RULE,$(r))))

# The shim is static and has no library but libc: one runs beside every container. musl, when it is there (make deps), because the
# GNU library asks CPUID dozens of times before main(), and on a virtual machine each asking is an exit to the hypervisor: 0.4 ms
# of CPU a task, where musl needs none.
MUSL_GCC := $(shell command -v musl-gcc)
SHIM_CC  := $(if $(MUSL_GCC),$(MUSL_GCC) -idirafter /usr/include -idirafter /usr/include/$(shell $(CC) -print-multiarch),$(CC))
$(BUILD)/bin/fairlead-shim: $(SHIM_SRC) $(wildcard agent/containerizer/shim/*.h) isolators/plan_format.h
	@mkdir -p $(@D)
	$(SHIM_CC) -I. -D_GNU_SOURCE -std=gnu17 -Os -g -ffunction-sections -fdata-sections $(WARN) -static -Wl,--gc-sections \
	    -o $@ $(SHIM_SRC)

# What the containers of the benchmarks run.
$(BUILD)/tests/bench/pause: tests/bench/pause.c
	@mkdir -p $(@D)
	$(SHIM_CC) -std=gnu17 -Os $(WARN) -static -o $@ $<
$(BUILD)/tests/bench/bench_containers: | $(BUILD)/tests/bench/pause

# The clients of bench_serving.py.
$(BUILD)/tests/bench/serving_clients: tests/bench/serving_clients.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=gnu17 -O2 $(WARN) -o $@ $<

# Only what libframework.map names is visible outside.
$(BUILD)/lib/libframework.so: $(LIBFL) $(LIBFW_MAP)
	@mkdir -p $(@D)
	$(CC) -shared -o $@ -Wl,-soname,libframework.so.1 -Wl,--version-script=$(LIBFW_MAP) \
	    -Wl,-z,defs $(filter $(BUILD)/obj/libframework/%,$(OBJ)) $(LIBFL) $(LDFLAGS) $(LIBS)
	ln -sf libframework.so $(BUILD)/lib/libframework.so.1

$(BUILD)/examples/%: libframework/examples/%.c $(LIBFW)
	@mkdir -p $(@D)
	$(CC) -std=gnu17 $(OPT) $(SANITIZE) $(WARN) -D_GNU_SOURCE -I. -Ilibframework -I$(BUILD)/gen $(PKG_CFLAGS) -o $@ $< \
	    -L$(BUILD)/lib -lframework -Wl,-rpath,'$$ORIGIN/../lib' $(LDFLAGS)

# A module brings no copy of the archive: it uses the functions of the program that loads it, which exports what is
# public (-rdynamic in the rules of programs and tests). Tables such as interned names exist once a process.
$(BUILD)/tests/modules/%.so: tests/modules/%.c | $(PROTO_H)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) -MMD -MP -MF $(@:.so=.d) -shared -o $@ $< $(LDFLAGS)

$(BUILD)/tests/unit/% $(BUILD)/tests/property/% $(BUILD)/tests/bench/%: $(BUILD)/obj/tests/%.o ;

define TEST_RULE
$(BUILD)/$(1): $(BUILD)/obj/$(1).o $(LIBFL)
	@mkdir -p $$(@D)
	$$(CC) -rdynamic -o $$@ $$< $(LIBFL) $$(LDFLAGS) -lcheck -lsubunit $$(LIBS) -lrt
endef
$(foreach t,$(UNIT) $(PROPERTY) $(BENCH),$(eval $(call TEST_RULE,$(t:$(BUILD)/%=%))))

# Only with clang and the sanitizers: tools/fuzz.sh.
define FUZZ_RULE
$(BUILD)/$(1): $(BUILD)/obj/$(1).o $(LIBFL)
	@mkdir -p $$(@D)
	$$(CC) -fsanitize=fuzzer -o $$@ $$< $(LIBFL) $$(LDFLAGS) $$(LIBS)
endef
$(foreach t,$(FUZZ),$(eval $(call FUZZ_RULE,$(t:$(BUILD)/%=%))))

# Programs that write documents from the tables they document.
$(BUILD)/tools/%: $(BUILD)/obj/tools/%.o $(LIBFL)
	@mkdir -p $(@D)
	$(CC) -o $@ $< $(LIBFL) $(LDFLAGS) $(LIBS)

# A row for every message of every .proto.
$(BUILD)/gen/proto/all_messages.def: $(PROTO_H)
	sed -n 's/^extern const ProtobufCMessageDescriptor \(.*\);/PB_MESSAGE(\1)/p' $(PROTO_H) > $@

$(BUILD)/obj/tests/proto/pbtool.o $(PROPERTY:$(BUILD)/%=$(BUILD)/obj/%.o) \
$(FUZZ:$(BUILD)/%=$(BUILD)/obj/%.o): $(BUILD)/gen/proto/all_messages.def
$(foreach t,$(TESTTOOLS),$(eval $(call TEST_RULE,$(t:$(BUILD)/%=%))))

# ---- doing ---------------------------------------------------------------------------------------
deps:
	tools/deps.sh

unit: $(UNIT) $(PROPERTY) $(MODULES)
	tools/run_tests.sh unit $(PROPERTY) $(UNIT)

check:
	tools/check.sh

system: all
	tools/run_pytest.sh tests/system

interop: all
	tools/run_pytest.sh tests/interop

bench: all $(BENCH) $(BUILD)/tests/bench/serving_clients
	tools/bench.sh

# At the size of the largest clusters: minutes, and up to 8 GB of memory. `make bench-allocator` and so on run one of the others.
bench-million bench-scale: all
	tools/bench.sh $(@:bench-%=%)

bench-%: all $(BENCH) $(BUILD)/tests/bench/serving_clients
	tools/bench.sh $*

# An agent killed with -9 a thousand times at random instants, and what it leaves behind. KILLS=n, KILLS_SEED=n.
.PHONY: kills
kills: all
	/usr/bin/python3 tests/bench/kills.py

# disk/xfs where the kernel has project quotas: in a virtual machine of its own (tools/deps.sh vm).
.PHONY: vm-xfs
vm-xfs: all $(BUILD)/tests/unit/test_container_xfs
	tools/vm_xfs.sh

# Cgroups where version 2 is all there is: in a virtual machine of its own (tools/deps.sh vm).
vm-cgroups2: all $(BUILD)/tests/unit/test_cgroups2
	tools/vm_cgroups2.sh

# The agent killed with -9 a thousand times, or CNI_KILLS, while containers get networks and lose them: nothing may be left.
bench-cni: all
	CNI_KILLS=$${CNI_KILLS:-1000} tools/run_pytest.sh tests/system/test_31_cni.py -k killed_at_random

# The Debian packages under systemd, in a virtual machine of its own (tools/deps.sh vm): install, upgrade with tasks running, purge.
.PHONY: vm-packages
vm-packages: deb
	tools/vm_packages.sh

# An hour of load and faults; SOAK_SECONDS makes it shorter.
soak: all
	/usr/bin/python3 tests/bench/scale/soak.py

# A simulated day of a cluster's life against the allocator: a line an hour, memory, and the day replayed from its log.
churn: $(BUILD)/tests/property/prop_allocator_churn
	$< day

# The pictures of docs/, from the data recorded beside them.
plots:
	tools/deps.sh plots
	/usr/bin/python3 tools/drf_plots.py docs/drf
	/usr/bin/python3 tools/performance_plots.py docs/performance

lint:
	tools/lint.sh

docs: $(BUILD)/tools/gen_flags_doc $(BUILD)/tools/gen_http_doc $(BUILD)/tools/gen_cli_doc $(BUILD)/tools/gen_metrics_doc
	tools/gen_docs.sh $< docs

format-mine:
	git diff --name-only --diff-filter=d main -- '*.c' '*.h' | xargs -r clang-format -i
	git ls-files -o --exclude-standard -- '*.c' '*.h' | xargs -r clang-format -i

asan:
	$(MAKE) BUILD=build/asan OPT='-O1 -g' SANITIZE='-fsanitize=address,undefined -fno-omit-frame-pointer' all unit

fuzz-short:
	tools/fuzz.sh

up:
	tools/up.sh

down:
	tools/down.sh

conformance: all
	tools/conformance.sh

install: all
	DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' BUILD='$(BUILD)' tools/install.sh

# Debian packages of what is built, in build/deb. DEB_VERSION names another version, DEB_DBGSYM=1 makes packages of symbols, too.
.PHONY: deb
deb: all
	BUILD='$(BUILD)' tools/deb.sh

clean:
	rm -rf $(BUILD)

-include $(BUILD)/obj/isolators/cni/port_mapper_main.d

-include $(MODULES:.so=.d)
-include $(OBJ:.o=.d) $(PROTO_OBJ:.o=.d)
-include $(patsubst %.c,$(BUILD)/obj/%.d,$(wildcard tests/*/*.c tools/*.c */main.c emulator/load/main.c executors/*/main.c agent/images/*main.c master/allocator/*main.c))
