/* The program: a Python that starts with the modules frozen into it and with nothing else.
 *
 * It must behave the same in every image, so that neither PYTHON* variables, nor the locale, nor
 * files beside it have a say, and it opens no file to start.
 */
#include <Python.h>
#include <limits.h>
#include <unistd.h>

PyMODINIT_FUNC PyInit__psutil_linux(void);

static void check(PyStatus status)
{
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
}

static void set(PyConfig *config, wchar_t **option, const char *value)
{
    check(PyConfig_SetBytesString(config, option, value));
}

/* Where this file lies: sys.executable. Without /proc it is where the packages install it. */
static const char *own_path(void)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return "/usr/bin/img-check";
    path[length] = '\0';
    return path;
}

int main(int argc, char **argv)
{
    PyPreConfig early;
    PyPreConfig_InitIsolatedConfig(&early);
    early.utf8_mode = 1;  /* names of files and reports are UTF-8 whatever LANG says */
    early.allocator = PYMEM_ALLOCATOR_MIMALLOC;  /* musl's would ask the kernel 1300 times */
    check(Py_PreInitialize(&early));

    if (PyImport_AppendInittab("psutil._psutil_linux", PyInit__psutil_linux) < 0)
        return 3;

    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.install_signal_handlers = 1;  /* like python3: Ctrl-C raises, SIGPIPE is an error */
    config.site_import = 0;
    config.write_bytecode = 0;
    config.pathconfig_warnings = 0;
    config.module_search_paths_set = 1;  /* to nothing */
    /* With a home Python looks for no pyvenv.cfg and no ._pth beside the program, where in a
     * directory like /tmp anybody could have put one. It does not exist, and is not looked into. */
    set(&config, &config.home, "/nonexistent");
    set(&config, &config.executable, own_path());
    set(&config, &config.base_executable, own_path());
    set(&config, &config.prefix, "");
    set(&config, &config.exec_prefix, "");
    set(&config, &config.base_prefix, "");
    set(&config, &config.base_exec_prefix, "");
    set(&config, &config.stdlib_dir, "");
    set(&config, &config.platlibdir, "lib");
    check(PyConfig_SetBytesArgv(&config, argc, argv));
    check(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);

    if (PyImport_ImportFrozenModule("__main__") < 0)
        PyErr_Print();
    return 3;  /* start.py ends the process itself: no verdict was reached */
}
