"""History: which transactions match, and in what state is each?"""
